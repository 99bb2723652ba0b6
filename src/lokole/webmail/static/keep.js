// Keeps a letter while one types, looks at addresses at once, completes them, and sends a form once.
(function () {
  'use strict';
  var form = document.querySelector('form[data-keep]');
  if (!form || !window.fetch || !window.FormData || !window.Promise) { return; }
  var said = form.querySelector('[data-kept]');
  var dirty = false, timer = 0, busy = false, over = false;

  function data() {
    var all = new FormData(form);
    if (all.delete) { all.delete('files'); }
    return all;
  }
  function keep() {
    window.clearTimeout(timer);
    timer = 0;
    if (!dirty || busy || over) { return; }
    dirty = false;
    busy = true;
    fetch(form.getAttribute('data-keep'), {method: 'POST', body: data(), credentials: 'same-origin'}).then(function (answer) {
      return answer.json().then(function (told) {
        said.textContent = told.say;
        if (answer.ok) { form.elements.version.value = told.version; } else { over = true; }
      });
    }).catch(function () {
      said.textContent = form.getAttribute('data-lost');
      dirty = true;
    }).then(function () {
      busy = false;
      if (dirty) { later(); }
    });
  }
  function later() {
    if (!timer && !over) { timer = window.setTimeout(keep, 5000); }
  }
  form.addEventListener('input', function (event) {
    if (event.target.type === 'file' || event.target.id === 'where') { return; }
    dirty = true;
    later();
  });
  form.addEventListener('click', function (event) {
    if (event.target.closest('.tool, .linking')) { dirty = true; later(); }
  });
  // the page goes away: what was typed in the last seconds is kept, too
  window.addEventListener('pagehide', function () {
    if (dirty && !over && navigator.sendBeacon) { navigator.sendBeacon(form.getAttribute('data-keep'), data()); dirty = false; }
  });
  document.addEventListener('visibilitychange', function () { if (document.hidden) { keep(); } });

  // a second touch of the same button does nothing
  var pressed = null;
  form.addEventListener('submit', function (event) {
    if (event.defaultPrevented) { return; }
    if (pressed) { event.preventDefault(); return; }
    pressed = document.activeElement;
    over = true;
    dirty = false;
    window.clearTimeout(timer);
  });
  window.addEventListener('pageshow', function (event) { if (event.persisted) { pressed = null; over = false; } });

  // addresses
  var known = document.getElementById('known');
  var options = known ? [].slice.call(known.options) : [];
  var plain = options.map(function (option) { return option.value; });
  ['to', 'cc', 'bcc'].forEach(function (name) {
    var field = form.elements[name];
    field.addEventListener('input', function () {
      var before = field.value.slice(0, field.value.lastIndexOf(',') + 1);
      if (before) { before += ' '; }
      options.forEach(function (option, n) { option.value = before + plain[n]; });
    });
    field.addEventListener('change', look);
  });
  function look() {
    fetch(form.getAttribute('data-check'), {method: 'POST', body: data(), credentials: 'same-origin'}).then(function (answer) {
      return answer.ok ? answer.json() : {};
    }).then(function (found) {
      Object.keys(found).forEach(function (name) { tell(name, found[name]); });
    }).catch(function () { /* looked at when the letter is sent */ });
  }
  function tell(name, found) {
    var field = form.elements[name], line = form.querySelector('[data-line=' + name + ']');
    var error = line.querySelector('.err'), near = line.querySelector('[data-near]');
    error.hidden = !found.errors.length;
    error.querySelector('span').textContent = found.errors.join(' ');
    if (found.errors.length) { field.setAttribute('aria-invalid', 'true'); } else { field.removeAttribute('aria-invalid'); }
    near.textContent = '';
    found.near.forEach(function (pair) {
      var chip = document.createElement('button');
      chip.type = 'button';
      chip.className = 'chip';
      chip.textContent = form.getAttribute('data-meant').replace('%', pair[1]);
      chip.addEventListener('click', function () {
        field.value = field.value.split(/[,;]/).map(function (part) {
          var bare = part.trim(), at = bare.indexOf('<' + pair[0] + '>');
          return bare === pair[0] ? pair[1] : at >= 0 ? bare.slice(0, at) + '<' + pair[1] + '>' : bare;
        }).filter(Boolean).join(', ');
        field.focus();
        dirty = true;
        later();
        look();
      });
      near.appendChild(chip);
    });
  }
  // whom one wrote to last: without a round to the box
  [].forEach.call(form.querySelectorAll('button[value^="add:"]'), function (button) {
    button.addEventListener('click', function (event) {
      event.preventDefault();
      var to = form.elements.to, there = to.value.replace(/[,\s]+$/, '');
      to.value = (there ? there + ', ' : '') + button.value.slice(4);
      button.parentNode.removeChild(button);
      dirty = true;
      later();
    });
  });
})();
