// A menu that folds: Escape or a click elsewhere closes it, and the focus goes back to its button.
export default function disclosure(element) {
  const summary = element.querySelector('summary');
  element.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && element.open) {
      element.open = false;
      summary.focus();
    }
  });
  document.addEventListener('click', (event) => {
    if (element.open && !element.contains(event.target)) element.open = false;
  });
  element.addEventListener('focusout', (event) => {
    if (event.relatedTarget && !element.contains(event.relatedTarget)) element.open = false;
  });
}
