/** What a wallet, an issuer and a verifier of npm's packages share: time, a road to our servers, keys, formats. */

import { createHash, createPrivateKey, createPublicKey, randomBytes, sign, verify, X509Certificate } from 'node:crypto'

import { CoseKey } from '@owf/mdoc'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import * as jose from 'jose'

const { now, roads = {} } = JSON.parse(process.env.JIGAP_INTEROP ?? '{}')
if (now) setClock(Date.parse(now))

/** Tests have a time of their own: from here on it goes on from there. */
function setClock(start) {
  const RealDate = Date
  const offset = start - RealDate.now()
  globalThis.Date = class extends RealDate {
    constructor(...values) {
      super(...(values.length ? values : [RealDate.now() + offset]))
    }
    static now() {
      return RealDate.now() + offset
    }
  }
}

export const seconds = () => Math.floor(Date.now() / 1000)
export const base64url = (bytes) => Buffer.from(bytes).toString('base64url')
export const hash = (data, name) => new Uint8Array(createHash(name.toLowerCase().replace('-', '')).update(data).digest())

/** Our servers are behind ports of this machine, their addresses are other ones. */
async function roadFetch(url, options = {}) {
  const { origin, pathname, search } = new URL(url)
  return fetch(`${roads[origin] ?? origin}${pathname}${search}`, { redirect: 'manual', ...options })
}

const ecdsa = (key) => ({ key, dsaEncoding: 'ieee-p1363' })
const privateKey = (jwk) => ecdsa(createPrivateKey({ key: jwk, format: 'jwk' }))
const publicKey = (jwk) => ecdsa(createPublicKey({ key: jwk, format: 'jwk' }))
const certificate = (base64) => new X509Certificate(Buffer.from(base64, 'base64'))
export const certificateJwk = (base64) => certificate(base64).publicKey.export({ format: 'jwk' })
export const signES256 = (data, jwk) => sign('sha256', data, privateKey(jwk))
const verifyES256 = (data, signature, jwk) => verify('sha256', data, publicKey(jwk), signature)

/** A private key as JWK; those who sign find it again by its public half. */
const known = new Map()
export async function keep(jwk) {
  const { kty, crv, x, y } = jwk
  known.set(await jose.calculateJwkThumbprint({ kty, crv, x, y }), jwk)
  return { private: jwk, public: { kty, crv, x, y } }
}
export async function newKey() {
  const pair = await jose.generateKeyPair('ES256', { extractable: true })
  return keep(await jose.exportJWK(pair.privateKey))
}
export const signer = (key) => ({ method: 'jwk', alg: 'ES256', publicJwk: key.public })

/** What @openid4vc's classes ask of whoever uses them. */
export const callbacks = {
  fetch: roadFetch,
  hash,
  generateRandom: (length) => new Uint8Array(randomBytes(length)),
  async signJwt(by, { header, payload }) {
    // Drafts called a key attestation so; OpenID4VCI 1.0 D.1 does not.
    const typ = header.typ === 'keyattestation+jwt' ? 'key-attestation+jwt' : header.typ
    const jwk = by.method === 'x5c' ? certificateJwk(by.x5c[0]) : by.publicJwk
    const input = [{ ...header, typ }, payload].map((part) => base64url(JSON.stringify(part))).join('.')
    const signature = signES256(Buffer.from(input), known.get(await jose.calculateJwkThumbprint(jwk)))
    return { jwt: `${input}.${base64url(signature)}`, signerJwk: jwk }
  },
  async verifyJwt(by, { header, compact }) {
    const jwk = by.method === 'x5c' ? certificateJwk(by.x5c[0]) : by.publicJwk
    await jose.compactVerify(compact, await jose.importJWK(jwk, header.alg))
    return { verified: true, signerJwk: jwk }
  },
  async encryptJwe({ publicJwk, alg, enc, apu, apv }, data) {
    const jwe = new jose.CompactEncrypt(Buffer.from(data)).setProtectedHeader({ alg, enc, kid: publicJwk.kid })
    jwe.setKeyManagementParameters({
      ...(apu ? { apu: jose.base64url.decode(apu) } : {}),
      ...(apv ? { apv: jose.base64url.decode(apv) } : {}),
    })
    return { jwe: await jwe.encrypt(await jose.importJWK(publicJwk, alg)), encryptionJwk: publicJwk }
  },
  getX509CertificateMetadata(base64) {
    const names = (certificate(base64).subjectAltName ?? '').split(', ')
    const of = (kind) => names.filter((name) => name.startsWith(kind)).map((name) => name.slice(kind.length))
    return { sanDnsNames: of('DNS:'), sanUriNames: of('URI:') }
  },
}

const x5cVerifier = (data, signature) => {
  const { x5c } = JSON.parse(Buffer.from(data.split('.')[0], 'base64url'))
  return verifyES256(Buffer.from(data), Buffer.from(signature, 'base64url'), certificateJwk(x5c[0]))
}
const sdJwtSigner = (jwk) => jwk && ((data) => base64url(signES256(Buffer.from(data), jwk)))

/** An SD-JWT VC library whose issuers are known by `x5c`; `issuer` and `holder` are private keys. */
export function sdJwtVc({ issuer, holder, ...more } = {}) {
  return new SDJwtVcInstance({
    hasher: hash,
    hashAlg: 'sha-256',
    saltGenerator: (length) => base64url(randomBytes(length)),
    signAlg: 'ES256',
    signer: sdJwtSigner(issuer),
    verifier: async (data, signature) => x5cVerifier(data, signature),
    kbSignAlg: 'ES256',
    kbSigner: sdJwtSigner(holder),
    kbVerifier: async (data, signature, payload) =>
      verifyES256(Buffer.from(data), Buffer.from(signature, 'base64url'), payload.cnf.jwk),
    statusVerifier: async (data, signature) => x5cVerifier(data, signature),
    statusListFetcher: async (uri) =>
      (await roadFetch(uri, { headers: { accept: 'application/statuslist+jwt' } })).text(),
    ...more,
  })
}

const unused = () => {
  throw new Error('not used here')
}
const coseJwk = (key) => ({ ...key.jwk, kty: 'EC', crv: 'P-256' })

/** What @owf/mdoc asks of whoever uses it: ES256 and certificates. */
export const mdocContext = {
  crypto: {
    random: (length) => new Uint8Array(randomBytes(length)),
    digest: ({ digestAlgorithm, bytes }) => hash(bytes, digestAlgorithm),
    calculateEphemeralMacKey: unused,
  },
  cose: {
    sign1: {
      sign: ({ toBeSigned, key }) => new Uint8Array(signES256(toBeSigned, coseJwk(key))),
      verify: ({ sign1, key }) => verifyES256(sign1.toBeSigned, sign1.signature, coseJwk(key)),
    },
    mac0: { sign: unused, verify: unused },
  },
  x509: {
    getIssuerNameField: ({ certificate: der, field }) =>
      new X509Certificate(der).subject
        .split('\n')
        .filter((line) => line.startsWith(`${field}=`))
        .map((line) => line.slice(field.length + 1)),
    getPublicKey: ({ certificate: der }) => CoseKey.fromJwk(new X509Certificate(der).publicKey.export({ format: 'jwk' })),
    verifyCertificateChain({ trustedCertificates, x5chain }) {
      const leaf = new X509Certificate(x5chain[0])
      const roots = trustedCertificates.map((der) => new X509Certificate(der))
      if (!roots.some((root) => leaf.checkIssued(root) && leaf.verify(root.publicKey))) throw new Error('no anchor')
    },
    getCertificateData({ certificate: der }) {
      const { issuer, subject, serialNumber, fingerprint256, validFrom, validTo } = new X509Certificate(der)
      const [notBefore, notAfter] = [new Date(validFrom), new Date(validTo)]
      return { issuerName: issuer, subjectName: subject, serialNumber, thumbprint: fingerprint256, notBefore, notAfter }
    },
  },
}

/** Throws unless every check of an mdoc passed. */
export async function passing(verification) {
  const failed = []
  await verification((check) => check.status === 'PASSED' || failed.push(check))
  if (failed.length) throw new Error(JSON.stringify(failed))
}
