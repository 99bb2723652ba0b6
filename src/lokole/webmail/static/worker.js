// Shows the pages seen last when the box is out of reach. It keeps only what an answer says may be kept (Lokole-Keep), for one
// person, at most 80 pages and texts of letters; leaving, also for good, a sign-in of somebody else or the end of the session empties it.
(function () {
  'use strict';
  var told = self.LOKOLE, PAGES = 'lokole-pages', FILES = 'lokole-files', MOST = 80, LARGEST = 300000;

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

  function put(pages, address, text, policy) {
    var headers = new Headers({
      'Content-Type': 'text/html; charset=utf-8', 'Lokole-Seen': String(Date.now()), 'Content-Security-Policy': policy || "default-src 'none'"
    });
    return pages.delete(address).then(function () { return pages.put(address, new Response(text, {headers: headers})); });
  }

  // The text of a letter is a page of its own in a frame that this worker does not see: it is fetched with the letter, once.
  function bodies(pages, text, person) {
    var found = [], frame = /<iframe [^>]*?src="([^"]+\/body)"/g, one;
    while ((one = frame.exec(text))) { found.push(new URL(one[1], self.location.href).href); }
    return found.reduce(function (before, address) {
      return before.then(function () { return pages.match(address); }).then(function (there) {
        return there || fetch(address, {credentials: 'same-origin'});
      }).then(function (body) {
        if (!body.headers.has('Lokole-Seen') && body.headers.get('Lokole-Keep') !== person) { return null; }
        return body.text().then(function (words) {
          return words.length > LARGEST ? null : put(pages, address, words, body.headers.get('Content-Security-Policy'));
        });
      }).catch(function () { /* the next one may work */ });
    }, Promise.resolve());
  }

  function keep(request, answer, person) {
    var copy = answer.clone();
    return caches.open(PAGES).then(function (pages) {
      return pages.match(told.root).then(function (owner) { return owner ? owner.text() : person; }).then(function (name) {
        return name === person ? pages : forget().then(function () { return caches.open(PAGES); });
      });
    }).then(function (pages) {
      return copy.text().then(function (text) {
        if (text.length > LARGEST) { return null; }
        return pages.put(told.root, new Response(person)).then(function () {
          return put(pages, plain(request.url), text, answer.headers.get('Content-Security-Policy'));
        }).then(function () {
          return bodies(pages, text, person);
        }).then(function () { return pages.keys(); }).then(function (kept) {
          return Promise.all(kept.slice(0, Math.max(0, kept.length - MOST)).map(function (one) {
            return new URL(one.url).pathname === told.root ? null : pages.delete(one);
          }));
        });
      });
    }).catch(function () { /* no room: the page itself is there */ });
  }

  // A frame without an origin never asks this worker. Out of reach its attribute gives it one, so that it asks, and the policy
  // that is kept with its text takes the origin away again: nothing runs in it either way.
  function asking(text) { return text.replace(/(<iframe [^>]*?sandbox=")/g, '$1allow-same-origin '); }

  function seen(page, framed) {
    return page.text().then(function (text) {
      var when = new Date(Number(page.headers.get('Lokole-Seen'))).toLocaleString();
      var note = '<p class="say off note" role=status><span>' + told.seen.replace('{when}', when) + '</span></p>';
      return new Response(framed ? text : asking(text).replace(/(<main [^>]*>)/, function (all) { return all + note; }), {headers: page.headers});
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
    if (request.method === 'POST' && told.leave.indexOf(path) >= 0) {
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
