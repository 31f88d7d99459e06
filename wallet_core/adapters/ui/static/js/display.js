// Text size and theme change at once; the server remembers them when the same link is fetched. Without this module the
// link loads the page anew; on the answer to a form, which that would lose, the links show only here.
export default function display(element) {
  for (const part of element.querySelectorAll('[data-in-place]')) part.hidden = false;
  for (const link of element.querySelectorAll('a[data-size], a[data-theme]')) {
    const name = link.dataset.size ? 'size' : 'theme';
    link.addEventListener('click', (event) => {
      event.preventDefault();
      document.documentElement.dataset[name] = link.dataset[name];
      for (const other of link.closest('ul').querySelectorAll('a')) other.removeAttribute('aria-current');
      link.setAttribute('aria-current', 'true');
      fetch(link.href).catch(() => {}); // away from the server it holds for this page only
    });
  }
}
