// Keeps a letter while one types, looks at addresses at once, completes them, and sends a form once.
(function () {
  'use strict';
  var form = document.querySelector('form[data-keep]');
  if (!form || !window.fetch || !window.FormData || !window.Promise) { return; }
  var said = form.querySelector('[data-kept]'), lost = form.querySelector('[data-lost]');
  var dirty = false, timer = 0, busy = null, over = false, last = said.textContent, PATIENCE = 15000;

  function data() {
    var all = new FormData(form);
    if (all.delete) { all.delete('files'); }
    return all;
  }
  // keeps it now; the promise says whether the box was there to answer
  function keep() {
    var there = true;
    dirty = false;
    busy = Promise.race([
      fetch(form.getAttribute('data-keep'), {method: 'POST', body: data(), credentials: 'same-origin'}),
      new Promise(function (done, give) { window.setTimeout(give, PATIENCE); })
    ]).catch(function (error) { there = false; throw error; }).then(function (answer) {
      return answer.json().then(function (told) {
        lost.hidden = true;
        last = answer.ok ? told.say : '';
        said.textContent = told.say;
        say();
        if (answer.ok) { form.elements.version.value = told.version; } else if (answer.status < 500) { over = true; } else { dirty = true; }
      });
    }).catch(function () {
      said.textContent = last = '';
      lost.hidden = false;
      dirty = true;
    }).then(function () {
      busy = null;
      if (dirty) { later(); }
      return there;
    });
    return busy;
  }
  // files are too heavy to be kept again and again: what says "kept" says that they are not
  function say() {
    var chosen = [].some.call(form.querySelectorAll('input[type=file]'), function (field) { return field.files.length; });
    if (last) { said.textContent = chosen ? last + ' ' + said.getAttribute('data-but') : last; }
  }
  form.addEventListener('change', say);
  function due() {
    window.clearTimeout(timer);
    timer = 0;
    if (dirty && !busy && !over) { keep(); }
  }
  function later() {
    if (!timer && !over) { timer = window.setTimeout(due, 5000); }
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
  document.addEventListener('visibilitychange', function () { if (document.hidden) { due(); } });

  // Out of reach of the box a form that goes is gone, and the browser shows a page of its own in its place.
  // So it is kept first, and goes when the box has answered. A second touch of a button does nothing.
  var pressed = null, sure = false;
  form.addEventListener('submit', function (event) {
    if (event.defaultPrevented) { return; }
    if (sure) {
      over = true;
      dirty = false;
      window.clearTimeout(timer);
      return;
    }
    event.preventDefault();
    if (pressed) { return; }
    pressed = event.submitter || document.activeElement;
    if (pressed.type !== 'submit') { pressed = form.querySelector('button[value=check]'); } // the key Enter in a field
    Promise.resolve(busy).then(keep).then(function (there) {
      sure = there;
      if (there) { pressed.click(); }
      sure = false;
      if (!over || !there) { pressed = null; }
    });
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
  function changed(field) {
    dirty = true;
    later();
    field.dispatchEvent(new Event('change', {bubbles: true}));
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
        changed(field);
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
      changed(to);
    });
  });
})();
