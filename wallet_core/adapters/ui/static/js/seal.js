// The time of the server goes on beside the patch that turns, so that nobody takes a picture of a card for the card.
export default function seal(element) {
  const { now, until, live } = element.dataset;
  const time = element.querySelector('.seal__time');
  const skew = Date.parse(now) - Date.now();
  const end = until ? Date.parse(until) : Infinity;
  const korean = document.documentElement.lang === 'ko';
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone: 'Asia/Seoul', hour: 'numeric', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
  });

  function words(moment) {
    const { hour, minute, second } = Object.fromEntries(parts.formatToParts(moment).map((part) => [part.type, part.value]));
    const digits = `${((Number(hour) + 11) % 12) + 1}:${minute}:${second}`;
    const morning = Number(hour) < 12;
    return korean ? `${morning ? '오전' : '오후'} ${digits}` : `${digits} ${morning ? 'am' : 'pm'}`;
  }

  function tick() {
    const moment = Date.now() + skew;
    if (moment >= end) return location.reload(); // what is over has no seal
    time.textContent = words(moment);
    setTimeout(tick, 1000 - (moment % 1000));
  }

  element.querySelector('.seal__words').textContent = live;
  tick();
}
