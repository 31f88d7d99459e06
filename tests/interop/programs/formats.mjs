/** Credentials, status lists and type metadata of ours, read and verified by npm's packages. */

import { Holder, IssuerSigned } from '@owf/mdoc'
import { FlattenJSON, GeneralJSON } from '@sd-jwt/core'
import { getListFromStatusListJWT, getStatusListFromJWT } from '@sd-jwt/jwt-status-list'
import { TypeMetadataFormatSchema } from '@sd-jwt/sd-jwt-vc'

import { mdocContext, passing, sdJwtVc } from './shared.mjs'
import { answer, tried } from './tasks.mjs'

/** Signature, digests, times, and the place in the status list, which is fetched. */
function verifySdJwtVc({ credential }) {
  return tried(async () => {
    const { header, payload } = await sdJwtVc().verify(credential, { currentDate: Math.floor(Date.now() / 1000) })
    return { header, payload }
  })
}

/** RFC 9901 8: one presentation in both forms of JSON, the general one with a second signature. */
async function writeSdJwtJson({ presentation }) {
  const general = GeneralJSON.fromEncode(presentation)
  await general.addSignature({ alg: 'ES256', typ: 'example+sd-jwt' }, () => 'AAAA', 'second')
  return { flattened: FlattenJSON.fromEncode(presentation).toJson(), general: general.toJson() }
}

const readSdJwtJson = ({ json }) => FlattenJSON.fromSerialized(json).toEncoded()

function verifyMdoc({ credential, anchors }) {
  return tried(async () => {
    const issuerSigned = IssuerSigned.fromEncodedForOid4Vci(credential)
    const trustedCertificates = anchors.map((one) => new Uint8Array(Buffer.from(one, 'base64')))
    await passing((verificationCallback) =>
      Holder.verifyIssuerSigned({ issuerSigned, trustedCertificates, now: new Date(), verificationCallback }, mdocContext)
    )
    return { claims: issuerSigned.getPrettyClaims('org.iso.18013.5.1'), same: issuerSigned.encodedForOid4Vci === credential }
  })
}

function readStatus({ credential, list }) {
  const { idx } = getStatusListFromJWT(credential)
  const found = getListFromStatusListJWT(list)
  return { status: found.getStatus(idx), bits: found.getBitsPerStatus(), size: found.statusList.length }
}

const readTypeMetadata = ({ document }) => tried(() => ({ read: TypeMetadataFormatSchema.parse(document) }))

await answer({ verifySdJwtVc, writeSdJwtJson, readSdJwtJson, verifyMdoc, readStatus, readTypeMetadata })
