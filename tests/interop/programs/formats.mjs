/** Credentials, status lists and type metadata of ours, read and verified by npm's packages. */

import { Holder, IssuerSigned } from '@owf/mdoc'
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

await answer({ verifySdJwtVc, verifyMdoc, readStatus, readTypeMetadata })
