// Shows how long a code still works: the ring, and the same in words. Counts by the server's clock.
const UNITS = { ko: ['분', '초'], en: [' min', ' s'] };

function words(seconds) {
  const [minute, second] = UNITS[document.documentElement.lang] ?? UNITS.en;
  const parts = [];
  if (seconds >= 60) parts.push(Math.floor(seconds / 60) + minute);
  if (seconds % 60 || seconds < 60) parts.push((seconds % 60) + second);
  return parts.join(' ');
}

export default function timer(element) {
  const { expires, created, now, left, over } = element.dataset;
  const ring = element.querySelector('.ring__on');
  const text = element.querySelector('.qrblock__left');
  const skew = now ? Date.parse(now) - Date.now() : 0;
  const end = Date.parse(expires);
  const whole = end - (created ? Date.parse(created) : Date.now() + skew);
  ring?.setAttribute('stroke-dasharray', '100');

  function tick() {
    const rest = end - (Date.now() + skew);
    ring?.setAttribute('stroke-dashoffset', String(100 * (1 - Math.max(0, rest) / whole)));
    if (rest <= 0) {
      element.classList.add('is-over');
      text.setAttribute('role', 'status');
      text.removeAttribute('aria-live');
      text.textContent = over;
      return;
    }
    text.innerHTML = left.replace('{left}', words(Math.ceil(rest / 1000)));
    setTimeout(tick, 1000 - (Date.now() % 1000));
  }
  tick();
}
