// A form is sent once: its buttons wait with the same width until the next page comes.
export default function busy(form) {
  form.addEventListener('submit', (event) => {
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = 'true';
    // the Enter key presses a hidden button; the one that is seen waits
    const button = event.submitter?.matches('.hide') ? form.querySelector('.btn--main') : event.submitter;
    if (!button) return;
    button.style.width = `${button.offsetWidth}px`;
    button.setAttribute('aria-disabled', 'true');
    setTimeout(() => { button.textContent = form.dataset.busy; }); // after the button's own value went into the form
  });
  // a page taken from the browser's cache can be used again
  addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });
}
