// Covers a page when nobody is there for it any more: a shared telephone was not touched for so long, or the session ended elsewhere.
// A letter that is being written is covered and kept in place; any other page is left.
(function () {
  'use strict';
  var told = document.currentScript.dataset, idle = told.idle ? Number(told.idle) * 1000 + 1 : 0, since = Date.now(), timer = 0;
  var main = document.getElementById('m'), cover = document.getElementById('away');
  if (!window.fetch) { return; }

  function late() { return idle > 0 && Date.now() - since >= idle; }
  function show(on) { document.body.hidden = !on; }
  function leave() { window.location.replace(told.here + '/away'); }
  function away() {
    if (!cover) { leave(); return; }
    main.hidden = true;
    cover.hidden = false;
    show(true);
  }
  function wait() {
    window.clearTimeout(timer);
    if (idle) { timer = window.setTimeout(look, Math.max(0, since + idle - Date.now()) + 1000); }
  }
  function ask(where) {
    if (late()) { show(false); }
    fetch(told.here + where, {credentials: 'same-origin', cache: 'no-store'}).then(function (answer) {
      return answer.ok ? answer.json() : Promise.reject();
    }).then(function (found) {
      if (found.who !== told.who) {
        if (found.who) { leave(); } else { away(); }
        return;
      }
      if (idle) { since = Date.now() - idle + found.left * 1000; }
      [].forEach.call(document.querySelectorAll('[name=csrf_token]'), function (field) { field.value = found.token; });
      if (cover) { cover.hidden = true; main.hidden = false; }
      show(true);
      wait();
    }).catch(function () { // out of reach: what may still be shown is shown
      if (late()) { away(); } else { show(true); }
    });
  }
  function look() { if (!document.hidden) { ask(''); } else if (late()) { away(); } }

  document.addEventListener('visibilitychange', look);
  window.addEventListener('pageshow', function (event) { if (event.persisted) { ask(''); } });
  if (!idle) { return; }
  window.addEventListener('pagehide', function () { show(false); });
  ['pointerdown', 'touchstart', 'keydown', 'scroll'].forEach(function (name) {
    document.addEventListener(name, function () {
      if (Date.now() - since < Math.min(60000, idle / 4) || late()) { return; }
      since = Date.now();
      ask('/touched');
    }, {capture: true, passive: true});
  });
  wait();
})();
