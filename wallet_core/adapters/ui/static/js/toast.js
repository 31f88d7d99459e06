// Takes a message away after eight seconds, not while it is pointed at or focused.
const STAYS = 8000;

export default function toast(element) {
  const close = element.querySelector('.toast__close');
  let timer = setTimeout(remove, STAYS);
  function remove() { element.remove(); }
  for (const event of ['pointerenter', 'focusin']) element.addEventListener(event, () => clearTimeout(timer));
  for (const event of ['pointerleave', 'focusout']) element.addEventListener(event, () => { timer = setTimeout(remove, STAYS); });
  close.hidden = false;
  close.addEventListener('click', remove);
}
