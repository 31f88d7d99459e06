/** A verifier of npm's packages: it asks our wallet and checks what comes back. */

import { createPrivateKey } from 'node:crypto'

import { calculateX509HashClientIdPrefixValue, Openid4vpVerifier } from '@openid4vc/openid4vp'
import { DeviceResponse, SessionTranscript, Verifier } from '@owf/mdoc'
import { DcqlPresentationResult, DcqlQuery } from 'dcql'
import * as jose from 'jose'

import { callbacks, hash, keep, mdocContext, passing, sdJwtVc } from './shared.mjs'
import { answer, tried } from './tasks.mjs'

const responseUri = 'https://verifier.example/response'
const openid4vp = new Openid4vpVerifier({ callbacks })

async function clientId(prefix, { x5c }) {
  if (prefix === 'redirect_uri') return `redirect_uri:${responseUri}`
  if (prefix === 'x509_san_dns') return 'x509_san_dns:verifier.example'
  return `x509_hash:${await calculateX509HashClientIdPrefixValue({ x509Certificate: x5c[0], hash })}`
}

/** A request by value, and what is needed to read the answer. */
async function ask({ query, party, prefix = 'x509_hash', mode = 'direct_post.jwt', encryption = ['A256GCM'] }) {
  await keep(createPrivateKey(party.key).export({ format: 'jwk' }))
  const pair = await jose.generateKeyPair('ECDH-ES', { extractable: true })
  const jwk = { ...(await jose.exportJWK(pair.publicKey)), kid: 'answers', use: 'enc', alg: 'ECDH-ES' }
  const metadata = { jwks: { keys: [jwk] }, encrypted_response_enc_values_supported: encryption }
  const payload = {
    response_type: 'vp_token',
    response_mode: mode,
    response_uri: responseUri,
    client_id: await clientId(prefix, party),
    nonce: jose.base64url.encode(crypto.getRandomValues(new Uint8Array(24))),
    state: crypto.randomUUID(),
    dcql_query: query,
    client_metadata: {
      ...(mode.endsWith('.jwt') ? metadata : {}),
      vp_formats_supported: {
        'dc+sd-jwt': { 'sd-jwt_alg_values': ['ES256'], 'kb-jwt_alg_values': ['ES256'] },
        mso_mdoc: { issuerauth_alg_values: [-7], deviceauth_alg_values: [-7] },
      },
    },
  }
  const made = await openid4vp.createOpenId4vpAuthorizationRequest({
    authorizationRequestPayload: payload,
    jar: prefix !== 'redirect_uri' && {
      jwtSigner: { method: 'x5c', x5c: party.x5c, alg: 'ES256' },
      expiresInSeconds: 300,
    },
  })
  return { link: made.authorizationRequest, session: { payload, key: await jose.exportJWK(pair.privateKey) } }
}

async function verifySdJwt(presentation, { payload }) {
  const verified = await sdJwtVc().verify(presentation, {
    keyBindingNonce: payload.nonce,
    currentDate: Math.floor(Date.now() / 1000),
  })
  if (verified.kb.payload.aud !== payload.client_id) throw new Error('made for somebody else')
  const { vct } = verified.payload
  return { credential_format: 'dc+sd-jwt', vct, claims: verified.payload, cryptographic_holder_binding: true }
}

async function verifyMdoc(presentation, { payload }, anchors) {
  const deviceResponse = DeviceResponse.fromEncodedForOid4Vp(presentation)
  const [jwk] = payload.client_metadata.jwks?.keys ?? []
  const jwkThumbprint = jwk && jose.base64url.decode(await jose.calculateJwkThumbprint(jwk))
  const sessionTranscript = await SessionTranscript.forOid4Vp(
    { clientId: payload.client_id, nonce: payload.nonce, responseUri, jwkThumbprint },
    mdocContext
  )
  const trustedCertificates = anchors.map((one) => new Uint8Array(Buffer.from(one, 'base64')))
  await passing((onCheck) =>
    Verifier.verifyDeviceResponse(
      { deviceResponse, sessionTranscript, trustedCertificates, now: new Date(), onCheck },
      mdocContext
    )
  )
  const [document] = deviceResponse.documents
  const namespaces = {}
  for (const namespace of document.issuerSigned.issuerNamespaces.issuerNamespaces.keys())
    namespaces[namespace] = document.issuerSigned.getPrettyClaims(namespace)
  return { credential_format: 'mso_mdoc', doctype: document.docType, namespaces, cryptographic_holder_binding: true }
}

/** What our wallet posted, decrypted, verified and held against the query. */
function check({ session, posted, anchors = [] }) {
  return tried(async () => {
    const { payload, key } = session
    const decryptJwe = async (jwe) => {
      const { plaintext, protectedHeader } = await jose.compactDecrypt(jwe, await jose.importJWK(key, 'ECDH-ES'))
      session.header = protectedHeader
      return { decrypted: true, decryptionJwk: payload.client_metadata.jwks.keys[0], payload: Buffer.from(plaintext).toString() }
    }
    const parsed = await openid4vp.parseOpenid4vpAuthorizationResponse({
      authorizationResponse: posted,
      authorizationRequestPayload: payload,
      callbacks: { ...callbacks, decryptJwe },
    })
    const results = {}
    for (const [id, presentations] of Object.entries(parsed.dcql.presentations)) {
      const { format } = payload.dcql_query.credentials.find((one) => one.id === id)
      const verify = format === 'mso_mdoc' ? verifyMdoc : verifySdJwt
      results[id] = await Promise.all(presentations.map((one) => verify(one, session, anchors)))
    }
    const dcqlQuery = DcqlQuery.parse(payload.dcql_query)
    DcqlPresentationResult.validate(DcqlPresentationResult.fromDcqlPresentation(results, { dcqlQuery }))
    return { results, enc: session.header?.enc }
  })
}

await answer({ ask, check })
