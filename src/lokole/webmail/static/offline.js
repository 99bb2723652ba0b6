// On a person's own telephone: keep the pages seen last for when the box is out of reach. Needs https (or this very machine).
(function () {
  'use strict';
  var worker = document.currentScript && document.currentScript.getAttribute('data-worker');
  if (worker && 'serviceWorker' in navigator && window.isSecureContext) {
    navigator.serviceWorker.register(worker).catch(function () { /* it works without */ });
  }
})();
