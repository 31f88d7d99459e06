// Asks the server whether this page's state has moved on; pauses while the page is hidden.
const EVERY = 1500;
const SLOWEST = 15000;

export default function poll(element) {
  const { url, state } = element.dataset;
  let wait = EVERY;

  async function ask() {
    if (!document.hidden) {
      try {
        const answer = await fetch(url, { headers: { Accept: 'application/json' }, cache: 'no-store' });
        if (answer.status === 401 || answer.status === 404) return location.reload();
        if (!answer.ok) throw new Error(String(answer.status));
        const now = await answer.json();
        if (now.location) return location.assign(now.location);
        if (now.state !== state) return location.reload();
        wait = EVERY;
      } catch {
        wait = Math.min(wait * 2, SLOWEST); // the server is away for a moment: ask less often
      }
    }
    setTimeout(ask, wait);
  }

  setTimeout(ask, wait);
}
