// Text size and theme change at once and are remembered; without this module the same links load the page anew.
const YEAR = 365 * 24 * 3600;

export default function display(element) {
  for (const link of element.querySelectorAll('a[data-size], a[data-theme]')) {
    const name = link.dataset.size ? 'size' : 'theme';
    link.addEventListener('click', (event) => {
      event.preventDefault();
      const value = link.dataset[name];
      document.documentElement.dataset[name] = value;
      document.cookie = `jigap-${name}=${value}; Path=/; Max-Age=${YEAR}; SameSite=Lax`;
      for (const other of link.closest('ul').querySelectorAll('a')) other.toggleAttribute('aria-current', false);
      link.setAttribute('aria-current', 'true');
    });
  }
}
