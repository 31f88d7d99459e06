/** Reads one JSON array of tasks from standard input and writes one JSON array of answers. */

export async function answer(abilities) {
  let text = ''
  for await (const chunk of process.stdin) text += chunk
  const answers = []
  for (const { task, ...options } of JSON.parse(text)) answers.push(await abilities[task](options))
  process.stdout.write(JSON.stringify(answers))
}

/** What `make` returns, or the words of its error: some tasks are meant to fail. */
export async function tried(make) {
  try {
    return { ok: true, ...(await make()) }
  } catch (error) {
    return { ok: false, why: String(error.message).slice(0, 400) }
  }
}
