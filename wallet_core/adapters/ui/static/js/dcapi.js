// Asks a wallet that the browser finds (Digital Credentials API) and sends its answer; hidden where the browser cannot.
export default function dcapi(form) {
  const allows = (protocol) => globalThis.DigitalCredential?.userAgentAllowsProtocol?.(protocol);
  const requests = JSON.parse(form.dataset.request).digital.requests.filter(({ protocol }) => allows(protocol));
  if (!requests.length) return;
  const { answer } = form.elements;
  form.hidden = false;

  form.addEventListener('submit', async (event) => {
    if (answer.value) return; // what the wallet gave goes to the server
    event.preventDefault();
    try {
      const { protocol, data } = await navigator.credentials.get({ digital: { requests } });
      answer.value = JSON.stringify({ protocol, data });
      form.requestSubmit();
    } catch {
      // nobody answered, or the person went another way: the code is still there
    }
  });
}
