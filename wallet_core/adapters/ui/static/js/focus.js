// Brings what needs attention first into view, unless the reader is already doing something.
export default function focus(element) {
  if (document.activeElement === document.body) element.focus();
}
