"""Moving from a first Lokole's server: everything that its storage holds, taken in once, as often as it is asked for.

``layout`` knows how objects are written and named there, ``domains`` the domains and their people, ``letters`` the letters,
``underway`` what had come and was not read yet, ``report`` what is told of it; ``run`` goes through all of them in order.
The storage that is moved from is never written to.
"""
