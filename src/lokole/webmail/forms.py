"""What people type, checked; a mistake is named beside its field and what was typed stays.

The token against forged forms is checked for every POST by the application, not here.
Sentences are translated when they are shown.
"""

from __future__ import annotations

from typing import TypeVar

from flask import request
from flask_babel import lazy_gettext as _
from wtforms import BooleanField, Form, PasswordField, StringField, TextAreaField
from wtforms.validators import DataRequired, EqualTo, Length, ValidationError

from lokole.mailbox.passwords import easily_guessed
from lokole.webmail.access import signed_in
from lokole.webmail.parts import parts

F = TypeVar("F", bound=Form)
_MAX_LINE = 998  # RFC 5322 section 2.1.1; far more than anybody types into one line here


def _cut(limit: int) -> Length:
    return Length(max=limit, message=_("This is too long."))


def submitted(form: type[F]) -> F:
    """The form as it was sent."""
    return form(formdata=request.form)


class SignInForm(Form):
    """Name or address, and password."""

    name = StringField(_("Name in Lokole"), [DataRequired(_("Please write your name.")), _cut(320)])
    password = PasswordField(_("Password or PIN"), [DataRequired(_("Please write your password.")), _cut(1000)])
    own = BooleanField(_("This is my own telephone"))


class SignUpForm(Form):
    """A new person of this box."""

    called = StringField(_("What is your full name?"), [_cut(100)])
    name = StringField(_("Name in Lokole"), [DataRequired(_("Please choose a name.")), _cut(320)])
    password = PasswordField(_("Password"), [DataRequired(_("Please choose a password.")), _cut(1000)])
    own = BooleanField(_("This is my own telephone"))
    listed = BooleanField(_("Neighbours may find me"))
    time_zone = StringField("", [_cut(64)])

    def validate_password(self, field: PasswordField) -> None:
        _long_enough(field)
        _not_guessed(field, self.name.data or "")


class NewPasswordForm(Form):
    """The old password and twice the new one."""

    old = PasswordField(_("Password until now"), [_cut(1000)])  # not asked of somebody who has none
    new = PasswordField(_("New password"), [DataRequired(_("Please choose a password.")), _cut(1000)])
    again = PasswordField(
        _("New password once more"), [EqualTo("new", _("The two new passwords are not the same. Write both again."))]
    )

    def validate_new(self, field: PasswordField) -> None:
        _long_enough(field)
        person = signed_in()
        _not_guessed(field, person.name if person is not None else "")


class PinForm(Form):
    """A PIN twice."""

    pin = PasswordField(_("PIN"), [DataRequired(_("Please choose a PIN.")), _cut(40)])
    again = PasswordField(_("PIN once more"), [EqualTo("pin", _("The two PINs are not the same. Write both again."))])


class ProfileForm(Form):
    """What somebody says of themselves."""

    display_name = StringField(_("Your name on letters"), [_cut(200)])
    time_zone = StringField(_("Time zone"), [_cut(64)])


class LetterForm(Form):
    """A letter being written; the files and what it answers are read beside it (``sheet.py``)."""

    to = StringField(_("To"), [_cut(200_000)])
    cc = StringField(_("Copy to"), [_cut(200_000)])
    bcc = StringField(_("Hidden copy to"), [_cut(200_000)])
    subject = StringField(_("Subject"), [_cut(_MAX_LINE)])
    body = TextAreaField(_("Letter"))


def _long_enough(field: PasswordField) -> None:
    if field.data and len(field.data) < parts().settings.min_password_length:
        raise ValidationError(_("At least %(n)s letters or digits, please.", n=parts().settings.min_password_length))


def _not_guessed(field: PasswordField, name: str) -> None:
    if field.data and easily_guessed(field.data, name):
        raise ValidationError(_("Others guess this password at once. Take another, for example three or four words."))
