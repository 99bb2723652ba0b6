// What works without this file works a little better with it: news of a new letter.
(function () {
  'use strict';
  var news = document.querySelector('[data-news]');
  if (!news || !window.fetch) { return; }
  var seen = Number(news.getAttribute('data-count'));
  window.setInterval(function () {
    fetch(news.getAttribute('data-news'), {credentials: 'same-origin'}).then(function (answer) {
      return answer.ok ? answer.json() : {count: seen};
    }).then(function (found) {
      if (found.count > seen) {
        news.hidden = false;
        document.title = '(' + found.count + ') ' + document.title.replace(/^\(\d+\) /, '');
      }
      seen = found.count;
    }).catch(function () { /* the box is busy; the next look is soon */ });
  }, 300000);
})();
