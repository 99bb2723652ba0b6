// Signing up and in, a little better than without this file: the time zone, free names as one types, passwords that can be seen.
(function () {
  'use strict';
  var zone = document.querySelector('[data-zone]');
  if (zone && window.Intl) {
    try { zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || ''; } catch (e) { /* the site's zone will do */ }
  }

  Array.prototype.forEach.call(document.querySelectorAll('[data-see]'), function (button) {
    var field = document.getElementById(button.getAttribute('data-see'));
    button.hidden = false;
    button.addEventListener('click', function () {
      var shown = field.type === 'password';
      field.type = shown ? 'text' : 'password';
      button.setAttribute('aria-pressed', shown ? 'true' : 'false');
      button.textContent = button.getAttribute(shown ? 'data-hide' : 'data-show');
    });
    field.form.addEventListener('submit', function () { field.type = 'password'; }); // so that no browser keeps it as words
  });

  var form = document.querySelector('[data-names]');
  if (!form || !window.fetch || !window.FormData || !window.Promise) { return; }
  var name = form.elements.name, called = form.elements.called, said = form.querySelector('[data-said]');
  var offers = form.querySelector('[data-offers]'), timer, asked = 0, mine = name.value !== '';

  function take(event) {
    event.preventDefault();
    name.value = event.target.value;
    mine = true;
    ask();
    name.focus();
  }

  function show(found) {
    said.textContent = found.problem || found.free;
    said.className = found.problem ? 'err' : 's';
    if (found.problem) { name.setAttribute('aria-invalid', 'true'); } else { name.removeAttribute('aria-invalid'); }
    offers.textContent = '';
    found.names.forEach(function (one) {
      var chip = document.createElement('button');
      chip.type = 'button';
      chip.className = 'chip';
      chip.value = chip.textContent = one;
      chip.addEventListener('click', take);
      offers.appendChild(chip);
    });
    if (!mine && !name.value && found.names.length) { name.value = found.names[0]; ask(); }
  }

  function ask() {
    var sent = new FormData(), number = asked += 1;
    sent.append('csrf_token', form.elements.csrf_token.value);
    sent.append('name', name.value);
    sent.append('called', called.value);
    fetch(form.getAttribute('data-names'), {method: 'POST', body: sent, credentials: 'same-origin'}).then(function (answer) {
      return answer.ok ? answer.json() : null;
    }).then(function (found) {
      if (found && number === asked) { show(found); }
    }).catch(function () { /* the name is looked at when the form is sent */ });
  }

  function soon() { window.clearTimeout(timer); timer = window.setTimeout(ask, 500); }

  form.addEventListener('submit', function () { window.clearTimeout(timer); }); // the answer may bring another session
  name.addEventListener('input', function () { mine = name.value !== ''; soon(); });
  called.addEventListener('input', function () { if (!mine) { name.value = ''; } soon(); });
})();
