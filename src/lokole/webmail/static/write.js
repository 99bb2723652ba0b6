// The letter's text area becomes a small editor: bold, italic, underlined, two lists, quotation, link.
// Without this file the text area is the editor. What is sent is cleaned by the server in any case.
(function () {
  'use strict';
  var area = document.getElementById('body');
  var form = area && area.form;
  var bar = form && form.querySelector('.tool');
  if (!bar || !document.execCommand || !('contentEditable' in document.body)) { return; }
  var format = form.elements.format;
  var page = document.createElement('div');
  var buttons = [].slice.call(bar.querySelectorAll('button'));
  var linking = document.getElementById('link'), where = document.getElementById('where');
  var chosen = null;
  page.id = 'page';
  page.className = 'edit';
  page.contentEditable = 'true';
  page.dir = 'auto';
  page.setAttribute('role', 'textbox');
  page.setAttribute('aria-multiline', 'true');
  page.setAttribute('aria-labelledby', 'body-l');
  var markup = area.getAttribute('data-html') || (format.value === 'html' ? area.value : '');
  if (markup) {
    page.innerHTML = markup; // cleaned by the server, and the page's policy runs no script within it
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

  function within(name) {
    var at = window.getSelection().anchorNode;
    while (at && at !== page) {
      if (at.nodeName === name) { return at; }
      at = at.parentNode;
    }
    return null;
  }
  function run(what) {
    page.focus();
    if (what === 'quote') {
      quote();
    } else if (what === 'link') {
      if (within('A')) { document.execCommand('unlink'); } else { ask(true); }
    } else { document.execCommand(what, false, null); }
    changed();
    show();
  }
  // by hand: what browsers do here writes styles, which the page's policy forbids
  function at(range) {
    var selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  }
  function top(node) {
    while (node.parentNode !== page) { node = node.parentNode; }
    return node;
  }
  function quote() {
    var selection = window.getSelection(), inside = within('BLOCKQUOTE');
    if (!page.firstChild) { page.appendChild(document.createElement('br')); }
    var range = selection.rangeCount && page.contains(selection.anchorNode) ? selection.getRangeAt(0) : document.createRange();
    var from = range.startContainer, last = range.endContainer, start = range.startOffset, end = range.endOffset;
    if (from === page || !page.contains(from)) { from = page.childNodes[start] || page.lastChild; start = 0; }
    if (last === page || !page.contains(last)) { last = page.childNodes[Math.max(end - 1, 0)] || page.lastChild; end = 0; }
    if (inside) {
      while (inside.firstChild) { inside.parentNode.insertBefore(inside.firstChild, inside); }
      inside.parentNode.removeChild(inside);
    } else {
      var made = document.createElement('blockquote'), node = top(from), until = top(last);
      page.insertBefore(made, node);
      while (node) {
        var next = node === until ? null : node.nextSibling;
        made.appendChild(node);
        node = next;
      }
    }
    range.setStart(from, start);
    range.setEnd(last, end);
    at(range);
  }
  function put(node) {
    var selection = window.getSelection();
    if (!selection.rangeCount || !page.contains(selection.anchorNode)) { page.appendChild(node); return; }
    var range = selection.getRangeAt(0), end = node.nodeType === 11 ? node.lastChild : node;
    range.deleteContents();
    range.insertNode(node);
    range = document.createRange();
    range.setStartAfter(end);
    range.collapse(true);
    at(range);
  }
  function ask(open) {
    var selection = window.getSelection();
    if (open && selection.rangeCount) { chosen = selection.getRangeAt(0).cloneRange(); }
    linking.hidden = !open;
    bar.querySelector('[data-do=link]').setAttribute('aria-expanded', open ? 'true' : 'false');
    if (open) { where.value = ''; where.focus(); }
  }
  function link() {
    var to = where.value.trim();
    ask(false);
    page.focus();
    if (!to || !chosen) { return; }
    if (/^[^\s@:/]+@[^\s@:/]+$/.test(to)) { to = 'mailto:' + to; } else if (!/^(https?|mailto|tel):/i.test(to)) { to = 'https://' + to; }
    at(chosen);
    if (chosen.collapsed) {
      var made = document.createElement('a');
      made.href = to;
      made.textContent = to.replace(/^(https?:\/\/|mailto:|tel:)/i, '');
      put(made);
    } else { document.execCommand('createLink', false, to); }
    changed();
  }
  linking.querySelector('button').addEventListener('click', link);
  linking.addEventListener('keydown', function (event) {
    if (event.key === 'Enter') { event.preventDefault(); link(); }
    if (event.key === 'Escape') { ask(false); page.focus(); }
  });

  bar.addEventListener('click', function (event) {
    var button = event.target.closest('button');
    if (button) { run(button.getAttribute('data-do')); }
  });
  bar.addEventListener('mousedown', function (event) { event.preventDefault(); }); // keep what is chosen chosen
  // one stop for the key Tab, arrows from one button to the next
  buttons.forEach(function (button, n) { button.tabIndex = n ? -1 : 0; });
  bar.addEventListener('keydown', function (event) {
    var at = buttons.indexOf(document.activeElement), last = buttons.length - 1;
    var forward = getComputedStyle(bar).direction === 'rtl' ? 'ArrowLeft' : 'ArrowRight';
    var to = event.key === 'Home' ? 0 : event.key === 'End' ? last
      : /^Arrow(Left|Right)$/.test(event.key) ? at + (event.key === forward ? 1 : -1) : -9;
    if (at < 0 || to === -9) { return; }
    event.preventDefault();
    buttons[at].tabIndex = -1;
    to = (to + last + 1) % (last + 1);
    buttons[to].tabIndex = 0;
    buttons[to].focus();
  });
  page.addEventListener('keydown', function (event) {
    if ((event.ctrlKey || event.metaKey) && event.key === 'k') { event.preventDefault(); run('link'); }
  });
  page.addEventListener('keyup', show);
  page.addEventListener('mouseup', show);
  page.addEventListener('input', changed);

  // what is pasted keeps words, lists, bold, links, and nothing of how it looked elsewhere
  var KEPT = {B: 'b', STRONG: 'b', I: 'i', EM: 'i', U: 'u', UL: 'ul', OL: 'ol', LI: 'li', BLOCKQUOTE: 'blockquote', P: 'p', DIV: 'div', BR: 'br', A: 'a'};
  function clean(from, to) {
    [].forEach.call(from.childNodes, function (node) {
      if (node.nodeType === 3) { to.appendChild(document.createTextNode(node.nodeValue)); return; }
      if (node.nodeType !== 1 || /^(SCRIPT|STYLE|TITLE|TEMPLATE|NOSCRIPT|SVG|HEAD)$/i.test(node.nodeName)) { return; }
      var name = KEPT[node.nodeName] || (/^(H[1-6]|TR|PRE|SECTION|ARTICLE)$/.test(node.nodeName) ? 'div' : '');
      var into = to;
      if (name) {
        into = document.createElement(name);
        if (name === 'a' && /^(https?|mailto|tel):/i.test(node.getAttribute('href') || '')) { into.setAttribute('href', node.getAttribute('href')); }
        to.appendChild(into);
      }
      clean(node, into);
    });
  }
  function take(event, data) {
    var html = data && data.getData('text/html'), words = data && data.getData('text/plain');
    if (!html && !words) { if (data && data.files && data.files.length) { event.preventDefault(); } return; }
    event.preventDefault();
    if (html && window.DOMParser) {
      // the page's policy would report each of these
      html = html.replace(/<style[^]*?<\/style>/gi, '').replace(/\s(style|on\w+)\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)/gi, '');
      var box = document.createDocumentFragment();
      clean(new DOMParser().parseFromString(html, 'text/html').body, box);
      if (box.textContent.trim()) { put(box); changed(); return; }
    }
    document.execCommand('insertText', false, words);
    changed();
  }
  page.addEventListener('paste', function (event) { take(event, event.clipboardData); });
  page.addEventListener('drop', function (event) { take(event, event.dataTransfer); });

  function show() {
    buttons.forEach(function (button) {
      var what = button.getAttribute('data-do'), on = false;
      if (what === 'link') { return; }
      try { on = what === 'quote' ? !!within('BLOCKQUOTE') : document.queryCommandState(what); } catch (e) { on = false; }
      button.setAttribute('aria-pressed', on ? 'true' : 'false');
    });
  }
  function changed() {
    area.value = page.innerHTML;
    format.value = 'html';
  }
  if (markup) { changed(); }
  show();
})();
