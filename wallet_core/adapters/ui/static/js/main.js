// Starts the behaviour of every element that names one: data-module="copy" loads copy.js and calls its default function.
const base = new URL('.', import.meta.url);

export async function start(root = document) {
  for (const element of root.querySelectorAll('[data-module]')) {
    for (const name of element.dataset.module.split(' ')) {
      const behaviour = await import(new URL(`${name}.js`, base));
      behaviour.default(element);
    }
  }
  document.documentElement.dataset.ready = 'true';
}

start();
