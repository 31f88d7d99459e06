/** A wallet of npm's packages: it receives what our issuer gives and answers what our verifier asks. */

import { clientAuthenticationAnonymous, clientAuthenticationNone, Oauth2Client, resourceRequest } from '@openid4vc/oauth2'
import { createKeyAttestationJwt, Openid4vciClient } from '@openid4vc/openid4vci'
import { Openid4vpClient } from '@openid4vc/openid4vp'
import { CoseKey, DeviceRequest, DocRequest, Holder, IssuerSigned, ItemsRequest, SessionTranscript } from '@owf/mdoc'
import { DcqlQuery } from 'dcql'
import * as jose from 'jose'

import { callbacks, keep, mdocContext, newKey, sdJwtVc, seconds, signer } from './shared.mjs'
import { answer, tried } from './tasks.mjs'

const jwtFirst = (url, options) =>
  callbacks.fetch(url, { ...options, headers: { ...options?.headers, accept: 'application/jwt, application/json' } })

/** An issuer's metadata, signed if it signs them: the package itself does not ask for that. */
async function resolve(credentialOffer) {
  const client = new Openid4vciClient({ callbacks: { ...callbacks, fetch: jwtFirst } })
  return client.resolveIssuerMetadata(credentialOffer.credential_issuer)
}

async function receive({ link, txCode, configuration, copies = 1 }) {
  const client = new Openid4vciClient({ callbacks: { ...callbacks, clientAuthentication: clientAuthenticationAnonymous() } })
  const credentialOffer = await client.resolveCredentialOffer(link)
  const issuerMetadata = await resolve(credentialOffer)
  const key = await newKey()
  const token = await client.retrievePreAuthorizedCodeAccessTokenFromOffer({
    credentialOffer,
    issuerMetadata,
    txCode,
    dpop: { signer: signer(key) },
  })
  const taken = await take(client, issuerMetadata, token, { configuration, copies })
  return { ...taken, version: issuerMetadata.originalDraftVersion, signed: Boolean(issuerMetadata.signedCredentialIssuer) }
}

async function proofsOf(client, issuerMetadata, { configuration, holders, clientId, provider, proof = 'jwt' }) {
  const { c_nonce: nonce } = await client.requestNonce({ issuerMetadata })
  const attest = async (use) =>
    createKeyAttestationJwt({
      callbacks,
      attestedKeys: holders.map((holder) => holder.public),
      use,
      nonce,
      expiresAt: new Date(Date.now() + 300_000),
      keyStorage: ['iso_18045_high'],
      userAuthentication: ['iso_18045_high'],
      signer: { method: 'x5c', x5c: provider.x5c, alg: 'ES256' },
    })
  if (provider) await keep(provider.key)
  if (proof === 'attestation') return { attestation: [await attest('proof_type.attestation')] }
  const keyAttestationJwt = provider && (await attest('proof_type.jwt'))
  const jwt = []
  for (const holder of holders) {
    const options = { issuerMetadata, credentialConfigurationId: configuration, nonce, clientId, keyAttestationJwt }
    const made = await client.createCredentialRequestJwtProof({ ...options, issuedAt: new Date(), signer: signer(holder) })
    jwt.push(made.jwt)
  }
  return { jwt }
}

async function take(client, issuerMetadata, token, { configuration, copies, encrypted, ...proving }) {
  const accessToken = token.accessTokenResponse.access_token
  const holders = await Promise.all(Array.from({ length: copies }, newKey))
  const proofs = await proofsOf(client, issuerMetadata, { configuration, holders, ...proving })
  const options = { issuerMetadata, credentialConfigurationId: configuration, accessToken, dpop: token.dpop, proofs }
  const response = encrypted
    ? await takeEncrypted(issuerMetadata, token, { credential_configuration_id: configuration, proofs })
    : (await client.retrieveCredentials(options)).credentialResponse
  if (response.notification_id)
    await client.sendNotification({
      issuerMetadata,
      accessToken,
      dpop: token.dpop,
      notification: { notificationId: response.notification_id, event: 'credential_accepted' },
    })
  return {
    token: token.accessTokenResponse,
    credentials: response.credentials?.map((one) => one.credential),
    holders: holders.map((holder) => holder.private),
    response,
  }
}

/** The package does not encrypt messages of issuance: OpenID4VCI 10 with `jose`, the rest by the package. */
async function takeEncrypted(issuerMetadata, token, body) {
  const [to] = issuerMetadata.credentialIssuer.credential_request_encryption.jwks.keys
  const own = await jose.generateKeyPair('ECDH-ES', { extractable: true })
  const jwk = { ...(await jose.exportJWK(own.publicKey)), alg: 'ECDH-ES', kid: 'own', use: 'enc' }
  const text = JSON.stringify({ ...body, credential_response_encryption: { jwk, enc: 'A256GCM' } })
  const jwe = new jose.CompactEncrypt(Buffer.from(text)).setProtectedHeader({ alg: 'ECDH-ES', enc: 'A128GCM', kid: to.kid })
  const { response } = await resourceRequest({
    callbacks,
    dpop: token.dpop,
    accessToken: token.accessTokenResponse.access_token,
    url: issuerMetadata.credentialIssuer.credential_endpoint,
    requestOptions: {
      method: 'POST',
      headers: { 'Content-Type': 'application/jwt' },
      body: await jwe.encrypt(await jose.importJWK(to, 'ECDH-ES')),
    },
  })
  const opened = await jose.compactDecrypt(await response.text(), own.privateKey)
  return JSON.parse(Buffer.from(opened.plaintext))
}

/** Client attestation as draft -07 has it; the package's own proof of possession knows no challenge yet. */
async function clientOf({ clientId, provider }, instance) {
  if (!provider) return clientAuthenticationNone({ clientId })
  await keep(provider.key)
  const by = { method: 'x5c', x5c: provider.x5c, alg: 'ES256' }
  const payload = { iss: provider.name, sub: clientId, iat: seconds(), exp: seconds() + 300, cnf: { jwk: instance.public } }
  const header = { typ: 'oauth-client-attestation+jwt', alg: 'ES256', x5c: provider.x5c }
  const { jwt } = await callbacks.signJwt(by, { header, payload })
  return async ({ headers, authorizationServerMetadata: server }) => {
    const asked = await callbacks.fetch(server.challenge_endpoint, { method: 'POST' })
    const { attestation_challenge: challenge } = await asked.json()
    const proof = await callbacks.signJwt(signer(instance), {
      header: { typ: 'oauth-client-attestation-pop+jwt', alg: 'ES256' },
      payload: { iss: clientId, aud: server.issuer, jti: crypto.randomUUID(), iat: seconds(), challenge },
    })
    headers.set('OAuth-Client-Attestation', jwt)
    headers.set('OAuth-Client-Attestation-PoP', proof.jwt)
  }
}

/** The first half of the authorization code flow: where the browser is to go. */
async function authorize({ link, configuration, clientId, redirectUri, provider }) {
  const [instance, key] = await Promise.all([newKey(), newKey()])
  const clientAuthentication = await clientOf({ clientId, provider }, instance)
  const client = new Openid4vciClient({ callbacks: { ...callbacks, clientAuthentication } })
  const credentialOffer = await client.resolveCredentialOffer(link)
  const issuerMetadata = await resolve(credentialOffer)
  const dpop = { signer: signer(key) }
  const options = { credentialOffer, issuerMetadata, clientId, redirectUri, scope: configuration, dpop }
  const { authorizationRequestUrl, pkce } = await client.initiateAuthorization(options)
  return { url: authorizationRequestUrl, session: { link, instance, key, codeVerifier: pkce.codeVerifier } }
}

/** The second half, with what the browser brought back. */
async function redeem({ session, back, clientId, redirectUri, refresh = false, ...wanted }) {
  const [instance, key] = await Promise.all([keep(session.instance.private), keep(session.key.private)])
  const clientAuthentication = await clientOf({ clientId, provider: wanted.provider }, instance)
  const client = new Openid4vciClient({ callbacks: { ...callbacks, clientAuthentication } })
  const credentialOffer = await client.resolveCredentialOffer(session.link)
  const issuerMetadata = await resolve(credentialOffer)
  const [server] = issuerMetadata.authorizationServers
  const brought = client.parseAndVerifyAuthorizationResponseRedirectUrl({ url: back, authorizationServerMetadata: server })
  const token = await client.retrieveAuthorizationCodeAccessTokenFromOffer({
    credentialOffer,
    issuerMetadata,
    authorizationCode: brought.code,
    pkceCodeVerifier: session.codeVerifier,
    redirectUri,
    dpop: { signer: signer(key) },
  })
  const taken = await take(client, issuerMetadata, token, { ...wanted, clientId })
  if (!refresh) return taken
  const oauth = new Oauth2Client({ callbacks: { ...callbacks, clientAuthentication } })
  const { accessTokenResponse } = await oauth.retrieveRefreshTokenAccessToken({
    authorizationServerMetadata: server,
    refreshToken: token.accessTokenResponse.refresh_token,
    dpop: token.dpop,
  })
  return { ...taken, refreshed: accessTokenResponse }
}

const encryptionOf = (payload) =>
  payload.response_mode.endsWith('.jwt') ? payload.client_metadata.jwks.keys[0] : undefined

async function showSdJwt(query, payload, { credential, key }, audience) {
  const frame = {}
  for (const { path } of query.claims ?? []) {
    const parent = path.slice(0, -1).reduce((at, part) => (at[part] ??= {}), frame)
    parent[path.at(-1)] = true
  }
  const kb = { payload: { aud: audience, nonce: payload.nonce, iat: seconds() } }
  return sdJwtVc({ holder: key }).present(credential, frame, { kb })
}

async function showMdoc(query, payload, { credential, key }) {
  const encryption = encryptionOf(payload)
  const thumbprint = encryption && jose.base64url.decode(await jose.calculateJwkThumbprint(encryption))
  const sessionTranscript = await SessionTranscript.forOid4Vp(
    { clientId: payload.client_id, nonce: payload.nonce, responseUri: payload.response_uri, jwkThumbprint: thumbprint },
    mdocContext
  )
  const namespaces = {}
  for (const { path } of query.claims) (namespaces[path[0]] ??= {})[path[1]] = false
  const itemsRequest = ItemsRequest.create({ docType: query.meta.doctype_value, namespaces })
  const response = await Holder.createDeviceResponseForDeviceRequest(
    {
      deviceRequest: DeviceRequest.create({ docRequests: [DocRequest.create({ itemsRequest })] }),
      sessionTranscript,
      issuerSigned: [IssuerSigned.fromEncodedForOid4Vci(credential)],
      signature: { signingKey: CoseKey.fromJwk({ ...key, alg: 'ES256' }) },
    },
    mdocContext
  )
  return response.encodedForOid4Vp
}

async function vpToken(payload, cards, audience) {
  const query = DcqlQuery.parse(payload.dcql_query)
  DcqlQuery.validate(query)
  const shown = {}
  for (const one of query.credentials) {
    const show = one.format === 'mso_mdoc' ? showMdoc : showSdJwt
    shown[one.id] = [await show(one, payload, cards[one.format], audience)]
  }
  return shown
}

/** Resolves a request, answers it with cards by format, and tells what came of it. `origin` for the browser's API. */
async function present({ request, cards, encryption = 'A256GCM', wallet, origin }) {
  return tried(async () => {
    const client = new Openid4vpClient({ callbacks })
    const { params } = client.parseOpenid4vpAuthorizationRequest({ authorizationRequest: request })
    const resolved = await client.resolveOpenId4vpAuthorizationRequest({ authorizationRequestPayload: params, wallet, origin })
    const payload = resolved.authorizationRequestPayload
    const audience = origin ? `origin:${origin}` : payload.client_id
    const serverMetadata = {
      authorization_encryption_alg_values_supported: ['ECDH-ES'],
      authorization_encryption_enc_values_supported: [encryption],
    }
    const made = await client.createOpenid4vpAuthorizationResponse({
      authorizationRequestPayload: payload,
      authorizationResponsePayload: { vp_token: await vpToken(payload, cards, audience) },
      jarm: encryptionOf(payload) && { encryption: {}, serverMetadata },
      origin,
    })
    const facts = { prefix: resolved.client.prefix, version: resolved.version }
    if (origin) return { ...facts, data: made.jarm ? { response: made.jarm.responseJwt } : made.authorizationResponsePayload }
    const { response } = await client.submitOpenid4vpAuthorizationResponse({
      authorizationRequestPayload: payload,
      authorizationResponsePayload: made.authorizationResponsePayload,
      jarm: made.jarm,
    })
    return { ...facts, status: response.status, body: await response.json() }
  })
}

await answer({ receive, authorize, redeem, present })
