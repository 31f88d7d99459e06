// Brings what needs attention first into view.
export default function focus(element) {
  element.focus({ preventScroll: false });
}
