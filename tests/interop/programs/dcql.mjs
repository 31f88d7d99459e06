/** The package `dcql`: which queries it takes, and which credentials answer them. */

import { DcqlQuery } from 'dcql'

import { answer, tried } from './tasks.mjs'

function query({ query, credentials }) {
  return tried(() => {
    const parsed = DcqlQuery.parse(query)
    DcqlQuery.validate(parsed)
    const result = DcqlQuery.query(parsed, credentials)
    const found = Object.entries(result.credential_matches)
    return {
      satisfied: Boolean(result.can_be_satisfied),
      matches: Object.fromEntries(
        found.map(([id, match]) => [id, (match.valid_credentials ?? []).map((one) => one.input_credential_index)])
      ),
    }
  })
}

await answer({ query })
