// The letter's text area becomes a small editor: bold, italic, underlined, two lists.
// Without this file the text area is the editor. What is sent is cleaned by the server in any case.
(function () {
  'use strict';
  var area = document.getElementById('body');
  var form = area && area.form;
  var bar = form && form.querySelector('.tool');
  if (!bar || !document.execCommand || !('contentEditable' in document.body)) { return; }
  var format = form.elements.format;
  var page = document.createElement('div');
  page.className = 'edit';
  page.contentEditable = 'true';
  page.setAttribute('role', 'textbox');
  page.setAttribute('aria-multiline', 'true');
  page.setAttribute('aria-labelledby', 'body-l');
  if (format.value === 'html') {
    page.innerHTML = area.value; // cleaned by the server, and the page's policy runs no script within it
  } else {
    area.value.split('\n').forEach(function (line) {
      var row = document.createElement('div');
      if (line) { row.textContent = line; } else { row.appendChild(document.createElement('br')); }
      page.appendChild(row);
    });
  }
  area.parentNode.insertBefore(page, area);
  area.hidden = true;
  bar.hidden = false;
  try { document.execCommand('styleWithCSS', false, false); } catch (e) { /* an old browser does so anyway */ }
  bar.addEventListener('click', function (event) {
    var button = event.target.closest('button');
    if (!button) { return; }
    page.focus();
    document.execCommand(button.getAttribute('data-do'), false, null);
    show();
  });
  bar.addEventListener('mousedown', function (event) { event.preventDefault(); }); // keep what is chosen chosen
  page.addEventListener('keyup', show);
  page.addEventListener('mouseup', show);
  page.addEventListener('paste', function (event) { // the words without the look of where they come from
    var words = event.clipboardData && event.clipboardData.getData('text/plain');
    if (words) { event.preventDefault(); document.execCommand('insertText', false, words); }
  });
  function show() {
    bar.querySelectorAll('button').forEach(function (button) {
      var on = false;
      try { on = document.queryCommandState(button.getAttribute('data-do')); } catch (e) { on = false; }
      button.setAttribute('aria-pressed', on ? 'true' : 'false');
    });
  }
  show();
  form.addEventListener('submit', function (event) {
    var limit = Number(form.getAttribute('data-limit')), sum = Number(form.getAttribute('data-used'));
    var files = form.elements.files && form.elements.files.files;
    for (var n = 0; files && n < files.length; n += 1) { sum += files[n].size; }
    if (sum > limit) {
      event.preventDefault();
      var room = form.querySelector('[data-room]');
      room.className = 'say bad';
      room.textContent = form.getAttribute('data-too-large');
      room.setAttribute('role', 'alert');
      return;
    }
    area.value = page.innerHTML;
    format.value = 'html';
  });
})();
