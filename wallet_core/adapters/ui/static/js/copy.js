// Copies the text beside a button and says so.
export default function copy(element) {
  const button = element.querySelector('button');
  const status = element.querySelector('[role=status]');
  const label = button.textContent;
  if (!navigator.clipboard) return;
  button.hidden = false;
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(element.querySelector('code').textContent);
    button.textContent = status.textContent = element.dataset.done;
    setTimeout(() => { button.textContent = label; status.textContent = ''; }, 3000);
  });
}
