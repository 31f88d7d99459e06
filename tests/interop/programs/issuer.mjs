/** An issuer of npm's packages behind a port: it serves one offer to our wallet. First line of output: the offer. */

import { createServer } from 'node:http'

import { Oauth2AuthorizationServer } from '@openid4vc/oauth2'
import { Openid4vciIssuer, setGlobalConfig } from '@openid4vc/openid4vci'
import { CoseKey, DeviceKey, Issuer } from '@owf/mdoc'
import * as jose from 'jose'

import { callbacks, keep, mdocContext, newKey, sdJwtVc, seconds, signer } from './shared.mjs'

const { id, port, txCode, sdJwt, mdoc, manners } = JSON.parse(process.argv[2])
setGlobalConfig({ allowInsecureUrls: true })
const DPOP_NONCE = 'a-nonce-for-proofs-of-possession'
const preAuthorizedCode = crypto.randomUUID()
const issuer = new Openid4vciIssuer({ callbacks })
const server = new Oauth2AuthorizationServer({ callbacks })
await keep(sdJwt.key)
const tokenKey = await newKey()
const nonces = new Set()
let waiting

const proof_types_supported = { jwt: { proof_signing_alg_values_supported: ['ES256'] } }
const credentialIssuer = issuer.createCredentialIssuerMetadata({
  credential_issuer: id,
  credential_endpoint: `${id}/credential`,
  nonce_endpoint: `${id}/nonce`,
  deferred_credential_endpoint: `${id}/deferred`,
  notification_endpoint: `${id}/notification`,
  batch_credential_issuance: { batch_size: 3 },
  display: [{ name: 'Club', locale: 'en' }],
  credential_configurations_supported: {
    member: {
      format: 'dc+sd-jwt',
      vct: 'https://club.example/member',
      cryptographic_binding_methods_supported: ['jwk'],
      credential_signing_alg_values_supported: ['ES256'],
      proof_types_supported,
      credential_metadata: { display: [{ name: 'Member card', locale: 'en' }] },
    },
    licence: {
      format: 'mso_mdoc',
      doctype: 'org.iso.18013.5.1.mDL',
      cryptographic_binding_methods_supported: ['cose_key'],
      credential_signing_alg_values_supported: [-7],
      proof_types_supported,
    },
  },
})
const authorizationServer = server.createAuthorizationServerMetadata({
  issuer: id,
  token_endpoint: `${id}/token`,
  dpop_signing_alg_values_supported: ['ES256'],
  'pre-authorized_grant_anonymous_access_supported': true,
})
const issuerMetadata = {
  originalDraftVersion: 'V1',
  credentialIssuer,
  authorizationServers: [authorizationServer],
  knownCredentialConfigurations: issuer.getKnownCredentialConfigurationsSupported(credentialIssuer),
}
const { credentialOffer, credentialOfferObject } = await issuer.createCredentialOffer({
  issuerMetadata,
  credentialConfigurationIds: ['member', 'licence'],
  grants: {
    'urn:ietf:params:oauth:grant-type:pre-authorized_code': {
      'pre-authorized_code': preAuthorizedCode,
      tx_code: { input_mode: 'text', length: txCode.length, description: 'from the letter' },
    },
  },
  credentialOfferUri: manners.byReference ? `${id}/offer` : undefined,
})

async function member(jwk) {
  const claims = { given_name: 'Jiwoo', nationalities: ['KR', 'NZ'], address: { city: 'Seoul', zip: '00000' } }
  const frame = { _sd: ['given_name', 'address'], nationalities: { _sd: [0, 1] }, address: { _sd: ['zip'] }, _sd_decoy: 2 }
  const registered = { iss: id, iat: seconds(), exp: seconds() + 86400, vct: 'https://club.example/member', cnf: { jwk } }
  return sdJwtVc({ issuer: sdJwt.key }).issue({ ...registered, ...claims }, frame, { header: { x5c: sdJwt.x5c } })
}

async function licence(jwk) {
  const at = (offset) => new Date((seconds() + offset) * 1000)
  const made = new Issuer('org.iso.18013.5.1.mDL', mdocContext).addIssuerNamespace('org.iso.18013.5.1', {
    family_name: 'Han',
    given_name: 'Jiwoo',
    age_over_19: true,
    issuing_country: 'KR',
  })
  const signed = await made.sign({
    signingKey: CoseKey.fromJwk({ ...mdoc.key, alg: 'ES256' }),
    algorithm: -7,
    digestAlgorithm: 'SHA-256',
    validityInfo: { signed: at(-60), validFrom: at(-60), validUntil: at(86400) },
    deviceKeyInfo: { deviceKey: DeviceKey.fromJwk(jwk) },
    certificates: mdoc.x5c.map((one) => new Uint8Array(Buffer.from(one, 'base64'))),
  })
  return signed.encodedForOid4Vci
}

async function issue(configuration, keys) {
  const made = await Promise.all(keys.map(configuration === 'member' ? member : licence))
  return made.map((credential) => ({ credential }))
}

async function token(request, body) {
  const parsed = server.parseAccessTokenRequest({ accessTokenRequest: Object.fromEntries(new URLSearchParams(body)), request })
  if (manners.dpopNonce && jose.decodeJwt(parsed.dpop.jwt).nonce !== DPOP_NONCE)
    return [400, { error: 'use_dpop_nonce' }, { 'DPoP-Nonce': DPOP_NONCE }]
  const { dpop } = await server.verifyPreAuthorizedCodeAccessTokenRequest({
    accessTokenRequest: parsed.accessTokenRequest,
    grant: parsed.grant,
    request,
    authorizationServerMetadata: authorizationServer,
    expectedPreAuthorizedCode: preAuthorizedCode,
    expectedTxCode: txCode,
    dpop: { required: true, jwt: parsed.dpop?.jwt },
  })
  const claims = { audience: id, authorizationServer: id, subject: 'somebody', expiresInSeconds: 300 }
  return [200, await server.createAccessTokenResponse({ ...claims, dpop, signer: signer(tokenKey) })]
}

async function keysOf(credentialRequest) {
  const keys = []
  for (const jwt of credentialRequest.proofs.jwt) {
    const { nonce } = jose.decodeJwt(jwt)
    if (!nonces.has(nonce)) throw new Error('invalid_nonce')
    const { header } = await issuer.verifyCredentialRequestJwtProof({ issuerMetadata, jwt, expectedNonce: nonce })
    keys.push(header.jwk)
  }
  return keys
}

async function credential(request, body) {
  const accessToken = request.headers.get('authorization').split(' ')[1]
  const { cnf } = jose.decodeJwt(accessToken)
  const dpopJwt = request.headers.get('dpop')
  await server.verifyDpopJwt({ dpopJwt, request, accessToken, expectedJwkThumbprint: cnf.jkt })
  const credentialRequest = issuer.parseCredentialRequest({ issuerMetadata, credentialRequest: JSON.parse(body) })
  const keys = await keysOf(credentialRequest)
  const { credential_configuration_id: configuration } = JSON.parse(body)
  if (manners.deferred && configuration === 'member') {
    waiting = [configuration, keys]
    return [202, issuer.createCredentialResponse({ credentialRequest, transactionId: 'a-transaction', interval: 1 })]
  }
  const credentials = await issue(configuration, keys)
  return [200, issuer.createCredentialResponse({ credentialRequest, credentials, notificationId: `n-${configuration}` })]
}

function nonce() {
  const cNonce = jose.base64url.encode(crypto.getRandomValues(new Uint8Array(16)))
  nonces.add(cNonce)
  return [200, issuer.createNonceResponse({ cNonce })]
}

async function metadata(request) {
  if (!manners.signed || !request.headers.get('accept')?.includes('application/jwt')) return [200, credentialIssuer]
  const by = { method: 'x5c', x5c: sdJwt.x5c, alg: 'ES256' }
  return [200, await issuer.createSignedCredentialIssuerMetadataJwt({ credentialIssuerMetadata: credentialIssuer, signer: by })]
}

const { pathname } = new URL(id)
const routes = {
  [`/.well-known/openid-credential-issuer${pathname}`]: metadata,
  [`/.well-known/oauth-authorization-server${pathname}`]: () => [200, authorizationServer],
  [`${pathname}/offer`]: () => [200, credentialOfferObject],
  [`${pathname}/nonce`]: nonce,
  [`${pathname}/token`]: token,
  [`${pathname}/credential`]: credential,
  [`${pathname}/deferred`]: async () => [200, { credentials: await issue(...waiting) }],
  [`${pathname}/notification`]: (_, body) => (console.log(body), [204]),
}

createServer(async (incoming, outgoing) => {
  let body = ''
  for await (const chunk of incoming) body += chunk
  const headers = new Headers(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]))
  const request = { method: incoming.method, headers, url: `${new URL(id).origin}${incoming.url}` }
  try {
    const [status, answer, more] = await routes[incoming.url](request, body)
    const type = typeof answer === 'string' ? 'application/jwt' : 'application/json'
    outgoing.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', ...more })
    outgoing.end(typeof answer === 'string' ? answer : answer && JSON.stringify(answer))
  } catch (error) {
    console.log(JSON.stringify({ refused: `${incoming.url}: ${error.message}` }))
    outgoing.writeHead(400, { 'content-type': 'application/json' })
    outgoing.end(JSON.stringify({ error: error.errorResponse?.error ?? 'invalid_request' }))
  }
}).listen(port, '127.0.0.1', () => console.log(credentialOffer))
