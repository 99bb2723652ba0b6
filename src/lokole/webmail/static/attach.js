// Makes photos smaller on the telephone, says what they weigh and cost, and records a spoken message.
// Without this file the box makes them smaller, and a recording is chosen like any file.
(function () {
  'use strict';
  var form = document.querySelector('form[data-limit]');
  if (!form || !window.Promise) { return; }
  var box = form.querySelector('.att'), room = form.querySelector('[data-room]'), list = form.querySelector('[data-chosen]');
  var inputs = [].slice.call(form.querySelectorAll('input[name=files]'));
  var bound = {size: Number(form.getAttribute('data-limit')), files: Number(form.getAttribute('data-max-files'))};
  var request = Number(form.getAttribute('data-most')) - 100000; // beyond that nothing is even read; the rest is for what goes with the files
  var world = form.hasAttribute('data-world') ? {size: Number(form.getAttribute('data-world')), files: Number(form.getAttribute('data-world-files'))} : null;
  var groups = [].map.call(document.querySelectorAll('#known [data-out]'), function (one) { return one.value.toLowerCase(); });
  var perMb = Number(box.getAttribute('data-per-mb')) || 0;
  var longest = Number(box.getAttribute('data-longest')), format = box.getAttribute('data-format');
  var photo = form.elements.photo, usual = [].map.call(photo.options, function (option) { return option.text; });
  var voice = form.querySelector('[data-voice]'), target = voice.querySelector('input'), heard = document.createElement('ul');
  var working = null, before = {}, recorder = null, waits = null;

  function say(name, values) {
    return Object.keys(values).reduce(function (text, key) { return text.replace(key, values[key]); }, box.getAttribute('data-' + name));
  }
  // as the language of the page writes it; not every browser knows each of them
  function number(value) { return String(value).replace('.', box.getAttribute('data-point')); }
  function size(bytes) {
    return bytes < 999500 ? say('kb', {'%n': Math.max(1, Math.round(bytes / 1000))}) : say('mb', {'%n': number(Math.round(bytes / 100000) / 10)});
  }
  function cost(bytes) {
    // nothing is said more exactly than there is money for (cost.py)
    var value = bytes * perMb / 1e6, least = perMb >= 1 ? 1 : 0.1;
    return value && value < least ? say('less', {'%c': number(least)})
      : say('about', {'%c': number(Number((Math.round(value / least) * least).toFixed(1)))});
  }
  // a letter that stays in the box costs nothing
  function paid(bytes) { return perMb && (leaves() || !named().length) ? ', ' + cost(bytes) : ''; }
  function chosen() {
    return inputs.reduce(function (all, input) { return all.concat([].slice.call(input.files || [])); }, []);
  }
  function kept() {
    return [].reduce.call(form.querySelectorAll('input[name=file]:checked'), function (sum, tick) { return sum + Number(tick.getAttribute('data-size')); }, 0);
  }

  // a browser that does not turn photos by itself would lay them on their side; then the box does it
  var canShrink = window.createImageBitmap && window.CSS && CSS.supports('image-orientation', 'from-image')
    && HTMLCanvasElement.prototype.toBlob;
  var canPut = (function () {
    try { return !!new DataTransfer().items; } catch (e) { return false; }
  })();
  // a photo in each size that can be chosen; whatever else there is stays as it is, and a recording can be heard
  function sizes(file) {
    var made = {original: file, small: file, medium: file};
    if (/^audio\//.test(file.type)) {
      hear(made);
      made.sound.addEventListener('error', function () { // another program may know it; here there is nothing to hear
        made.sound = null;
        show();
      });
    }
    if (!canShrink || !/^image\/(jpeg|png|webp)$/.test(file.type) || file.size < 20000) { return Promise.resolve(made); }
    made.photo = true;
    return createImageBitmap(file).then(function (picture) {
      return smaller(picture, 1, file).then(function (small) {
        made.small = small;
        return smaller(picture, 2, file);
      }).then(function (medium) { made.medium = medium; });
    }).catch(function () { /* what cannot be opened here travels as it is */ }).then(function () { return made; });
  }
  function smaller(picture, times, file) {
    var scale = Math.min(1, times * longest / Math.max(picture.width, picture.height));
    var canvas = document.createElement('canvas');
    canvas.width = Math.max(1, Math.round(picture.width * scale));
    canvas.height = Math.max(1, Math.round(picture.height * scale));
    canvas.getContext('2d').drawImage(picture, 0, 0, canvas.width, canvas.height);
    var type = format === 'keep' ? file.type : 'image/' + format;
    // a browser that cannot write what is asked for writes PNG: no gain for a photo
    return new Promise(function (done) { canvas.toBlob(done, type, 0.6); }).then(function (made) {
      if ((made && made.type === type) || file.type !== 'image/jpeg') { return made; }
      return new Promise(function (done) { canvas.toBlob(done, 'image/jpeg', 0.6); });
    }).then(function (made) {
      if (!made || made.size >= file.size) { return file; }
      var end = {'image/webp': '.webp', 'image/jpeg': '.jpg', 'image/png': '.png'}[made.type];
      var small = new File([made], file.name.replace(/\.[^.]{1,5}$/, '') + end, {type: made.type});
      before[small.name + small.size] = file.size;
      return small;
    });
  }
  // what a file will weigh in the letter: a photo that could not be made smaller here is made so by the box
  function weighs(file) {
    if (photo.value === 'original' || !/^image\/(jpeg|png|webp)$/.test(file.type) || before[file.name + file.size]) { return file.size; }
    return Math.min(file.size, Number(photo.options[photo.selectedIndex].getAttribute('data-usual')));
  }
  // what is chosen now is added to what was chosen before: a browser alone forgets the first photo at the second
  function take(input) {
    if (!canPut) { show(); return; }
    var held = (input.made || []).map(function (one) { return mark(one.original); });
    var fresh = [].filter.call(input.files, function (file) { return held.indexOf(mark(file)) < 0; });
    var mine = working = Promise.all([Promise.all(fresh.map(sizes)), working]).then(function (done) {
      input.made = (input.made || []).concat(done[0]);
      put(input);
    }).catch(function () { /* the box makes them smaller */ }).then(function () {
      if (working === mine) { working = null; }
      show();
    });
    show();
  }
  // needs no secure context, as recording does: this is what a box with plain http has
  function hear(made) {
    var sound = made.sound = document.createElement('audio');
    sound.controls = true;
    sound.addEventListener('loadedmetadata', function () {
      // what a browser has recorded does not say how long it is
      if (isFinite(sound.duration)) { made.seconds = Math.max(1, Math.round(sound.duration)); }
      show();
    });
    sound.src = URL.createObjectURL(made.original);
  }
  function mark(file) { return [file.name, file.size, file.lastModified].join('/'); }
  function drop(file) {
    inputs.forEach(function (input) {
      if (!input.made) { return; }
      input.made = input.made.filter(function (one) { return one[photo.value] !== file; });
      put(input);
    });
    show();
    inputs[0].focus();
  }
  function put(input) {
    var files = new DataTransfer();
    input.made.forEach(function (one) { files.items.add(one[photo.value]); });
    input.files = files.files;
    form.dispatchEvent(new Event('change')); // a browser says nothing of what a script puts there
  }
  // what the chosen photos weigh and cost in each size, instead of what photos usually do
  function price() {
    var made = inputs.reduce(function (all, input) { return all.concat(input.made || []); }, []).filter(function (one) { return one.photo; });
    [].forEach.call(photo.options, function (option, n) {
      var sum = made.reduce(function (all, one) { return all + one[option.value].size; }, 0);
      option.text = !made.length ? usual[n] : photo.getAttribute('data-all').replace('%n', option.getAttribute('data-name'))
        .replace('%a', size(sum) + paid(sum));
    });
  }
  photo.addEventListener('change', function () {
    inputs.forEach(function (input) { if (input.made) { put(input); } });
    show();
  });
  function show() {
    var files = chosen(), held = inputs.reduce(function (all, input) { return all.concat(input.made || []); }, []);
    price();
    list.textContent = heard.textContent = '';
    files.forEach(function (file) {
      var item = document.createElement('li'), was = before[file.name + file.size];
      var weight = was ? say('was', {'%b': size(was), '%a': size(file.size)}) : size(file.size);
      var mine = held.filter(function (one) { return one[photo.value] === file; })[0];
      if (mine && mine.seconds) { weight = said(mine.seconds, file.size); }
      item.textContent = file.name + ' ' + weight + paid(weighs(file)) + ' ';
      if (mine) { item.appendChild(away(file)); }
      if (mine && mine.sound) { item.appendChild(mine.sound); }
      // in view even while the fold of spoken messages is shut
      ((target.made || []).indexOf(mine) >= 0 ? heard : list).appendChild(item);
    });
    toll();
    var sum = files.reduce(function (all, file) { return all + weighs(file); }, kept());
    var sent = files.reduce(function (all, file) { return all + file.size; }, text());
    var total = form.querySelector('[data-sum]');
    if (total) { total.textContent = cost(sum + Number(form.querySelector('[data-cost]').getAttribute('data-cost'))); }
    var count = files.length + form.querySelectorAll('input[name=file]:checked').length, all = sum + text();
    var out = world && (leaves() || !named().length) ? world : bound;
    var wrong = count > bound.files ? 'too-many' : all > bound.size || sent > request ? 'too-large'
      : !world || !leaves() ? '' : count > world.files ? 'world-many' : all > world.size ? 'world-large' : '';
    room.querySelector('span').textContent = wrong ? form.getAttribute('data-' + wrong) : say('used', {'%u': size(all), '%l': size(out.size), '%f': out.files});
    room.className = wrong ? 'say bad' : 'hint';
    room.setAttribute('role', wrong ? 'alert' : 'status');
    return wrong;
  }
  function toll() {
    var costs = form.querySelector('.cost');
    if (costs) { costs.hidden = !paid(0); }
  }
  function said(seconds, bytes) { return voice.getAttribute('data-said').replace('%s', seconds).replace('%b', size(bytes)); }
  function away(file) {
    var button = document.createElement('button');
    button.type = 'button';
    button.className = 'chip';
    button.textContent = box.getAttribute('data-away');
    button.setAttribute('aria-label', button.textContent + ' ' + file.name);
    button.addEventListener('click', function () { drop(file); });
    return button;
  }
  function text() {
    var quote = form.elements.quote, quoted = quote && (quote.type === 'hidden' || quote.checked);
    return new Blob([form.elements.body.value]).size + (quoted ? Number(form.getAttribute('data-quoted')) : 0);
  }
  // for whom it is, as far as typed; the box looks once more
  function named() {
    return ['to', 'cc', 'bcc'].reduce(function (all, name) { return all.concat(form.elements[name].value.split(/[,;]/)); }, [])
      .map(function (one) { return one.trim().toLowerCase(); }).filter(Boolean);
  }
  function leaves() {
    return named().some(function (one) {
      var at = /@([^\s<>"]+)/.exec(one);
      return at ? at[1] !== form.getAttribute('data-domain') : groups.indexOf(one) >= 0;
    });
  }

  inputs.forEach(function (input) { input.addEventListener('change', function () { take(input); }); });
  form.addEventListener('change', function (event) { if (/^(file|to|cc|bcc|quote)$/.test(event.target.name)) { show(); } });
  form.addEventListener('submit', function (event) {
    var button = event.submitter || document.activeElement;
    if (recorder) { // somebody sends while they speak: what was said goes along
      event.preventDefault();
      waits = button;
      recorder.stop();
    } else if (working) {
      event.preventDefault();
      working.then(function () { button.click(); });
    } else if (button && (button.value === 'send' || (button.value === 'attach' && chosen().length)) && show()) {
      event.preventDefault();
      room.scrollIntoView();
    }
  }, true);

  heard.className = 's';
  heard.setAttribute('aria-live', 'polite');
  voice.appendChild(heard);
  toll();

  // --- a spoken message: only where the address begins with https
  var media = navigator.mediaDevices;
  if (!media || !media.getUserMedia || !window.MediaRecorder || !canPut) { return; }
  var MOST_SECONDS = 120, BITS = 16000;
  var record = document.createElement('button'), told = document.createElement('p');
  var seconds = 0, clock = 0, count = 0;
  record.type = 'button';
  record.className = 'b';
  record.textContent = voice.getAttribute('data-record');
  told.className = 's';
  told.setAttribute('role', 'status');
  voice.querySelector('[data-here]').hidden = false;
  [record, told, heard].forEach(function (one) { voice.insertBefore(one, voice.querySelector('[data-plain]')); });
  function tell(bytes) {
    told.textContent = said(seconds, bytes) + paid(bytes);
  }
  function kind() {
    return ['audio/webm;codecs=opus', 'audio/ogg;codecs=opus', 'audio/mp4'].filter(function (type) {
      return !MediaRecorder.isTypeSupported || MediaRecorder.isTypeSupported(type);
    })[0];
  }
  function begin(stream) {
    var pieces = [], type = kind();
    recorder = new MediaRecorder(stream, {mimeType: type, audioBitsPerSecond: BITS});
    recorder.addEventListener('dataavailable', function (event) { pieces.push(event.data); });
    recorder.addEventListener('stop', function () {
      window.clearInterval(clock);
      stream.getTracks().forEach(function (track) { track.stop(); });
      recorder = null;
      record.textContent = voice.getAttribute('data-record');
      finish(new Blob(pieces, {type: type.split(';')[0]}), /ogg/.test(type) ? '.ogg' : /mp4/.test(type) ? '.m4a' : '.webm');
    });
    seconds = 0;
    recorder.start();
    record.textContent = voice.getAttribute('data-stop');
    clock = window.setInterval(function () {
      seconds += 1;
      tell(seconds * BITS / 8);
      if (seconds >= MOST_SECONDS && recorder) { recorder.stop(); }
    }, 1000);
  }
  function finish(spoken, end) {
    count += 1;
    // how long it is stands in its name: what a browser records does not say so itself, and whoever gets it wants to know
    var file = new File([spoken], voice.getAttribute('data-name') + '-' + count + ' (' + Math.max(1, seconds) + ' s)' + end, {type: spoken.type});
    var made = {original: file, small: file, medium: file};
    hear(made);
    target.made = (target.made || []).concat(made);
    put(target);
    told.textContent = '';
    show();
    if (waits) { waits.click(); }
    waits = null;
  }
  record.addEventListener('click', function () {
    if (recorder) { recorder.stop(); return; }
    media.getUserMedia({audio: true}).then(begin).catch(function () { told.textContent = voice.getAttribute('data-no'); });
  });
})();
