// Shows the pages seen last when the box is out of reach. It keeps only what an answer says may be kept (Lokole-Keep), for one
// person, at most 40 pages; leaving, a sign-in of somebody else or the end of the session empties it.
(function () {
  'use strict';
  var told = self.LOKOLE, PAGES = 'lokole-pages', FILES = 'lokole-files', MOST = 40, LARGEST = 300000;

  function forget() { return caches.delete(PAGES); }

  function plain(url) { return String(url).split('#')[0]; }

  self.addEventListener('install', function (event) {
    event.waitUntil(caches.open(FILES).then(function (files) {
      return files.addAll(told.assets.concat([told.offline]));
    }).then(function () { return self.skipWaiting(); }));
  });

  self.addEventListener('activate', function (event) {
    event.waitUntil(caches.open(FILES).then(function (files) {
      return files.keys().then(function (kept) {
        return Promise.all(kept.filter(function (one) {
          var path = new URL(one.url).pathname;
          return told.assets.indexOf(path) < 0 && path !== told.offline;
        }).map(function (one) { return files.delete(one); }));
      });
    }).then(function () { return self.clients.claim(); }));
  });

  function keep(request, answer, person) {
    var copy = answer.clone();
    return caches.open(PAGES).then(function (pages) {
      return pages.match(told.root).then(function (owner) { return owner ? owner.text() : person; }).then(function (name) {
        return name === person ? pages : forget().then(function () { return caches.open(PAGES); });
      });
    }).then(function (pages) {
      return copy.text().then(function (text) {
        if (text.length > LARGEST) { return null; }
        var headers = new Headers({
          'Content-Type': 'text/html; charset=utf-8', 'Lokole-Seen': String(Date.now()),
          'Content-Security-Policy': answer.headers.get('Content-Security-Policy') || "default-src 'none'"
        });
        return pages.put(told.root, new Response(person)).then(function () {
          return pages.delete(plain(request.url));
        }).then(function () {
          return pages.put(plain(request.url), new Response(text, {headers: headers}));
        }).then(function () { return pages.keys(); }).then(function (kept) {
          return Promise.all(kept.slice(0, Math.max(0, kept.length - MOST)).map(function (one) {
            return new URL(one.url).pathname === told.root ? null : pages.delete(one);
          }));
        });
      });
    }).catch(function () { /* no room: the page itself is there */ });
  }

  function seen(page, framed) {
    return page.text().then(function (text) {
      var when = new Date(Number(page.headers.get('Lokole-Seen'))).toLocaleString();
      var note = '<p class="say off note" role=status><span>' + told.seen.replace('{when}', when) + '</span></p>';
      return new Response(framed ? text : text.replace(/(<main [^>]*>)/, function (all) { return all + note; }), {headers: page.headers});
    });
  }

  function fromMemory(request) {
    var framed = request.destination === 'iframe';
    return caches.open(PAGES).then(function (pages) { return pages.match(plain(request.url)); }).then(function (page) {
      if (page) { return seen(page, framed); }
      return caches.open(FILES).then(function (files) { return files.match(told.offline); });
    }).then(function (page) { return page || Response.error(); });
  }

  self.addEventListener('fetch', function (event) {
    var request = event.request, path = new URL(request.url).pathname;
    if (new URL(request.url).origin !== self.location.origin) { return; }
    if (request.method === 'POST' && path === told.leave) {
      event.respondWith(forget().then(function () { return fetch(request); }));
    } else if (request.method === 'GET' && request.mode === 'navigate') {
      event.respondWith(fetch(request).then(function (answer) {
        var person = answer.headers.get('Lokole-Keep');
        if (person) {
          event.waitUntil(keep(request, answer, person));
        } else if (path === told.login) { // whoever sees this page is not signed in, or about to be somebody else
          return forget().then(function () { return answer; });
        }
        return answer;
      }, function () { return fromMemory(request); }));
    } else if (request.method === 'GET' && told.assets.indexOf(path) >= 0) {
      event.respondWith(caches.match(request).then(function (file) { return file || fetch(request); }));
    }
  });
})();
