"""Our own API for relying parties. The endpoints of wallets are in ``endpoints.py``."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from verifier.dependencies import verifier_of
from verifier.presentations import shapes
from verifier.presentations.answers import created_json, record_file, result_json
from verifier.presentations.use_cases import records, requests, results
from verifier.presentations.use_cases.dc_api_answers import DcApiAnswer, judge_with_statuses
from verifier.presentations.use_cases.protocol import Verdict, record_verdict
from verifier.presentations.use_cases.requests import PresentationOrder
from verifier.webhooks.use_cases import require_secret
from wallet_core import spec_versions as spec
from wallet_core.adapters.api_keys import ApiKey
from wallet_core.adapters.idempotency import Answer
from wallet_core.adapters.web import answer_idempotently, idempotent, protocol_json, require_api_key
from wallet_core.errors import InvalidRequest, NotFound, StateConflict, VerificationError
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix
from wallet_core.protocols.openid4vp.dc_api import MAX_ORIGIN_CHARACTERS, DcApiProtocol
from wallet_core.protocols.openid4vp.presentation import PresentationFlow

router = APIRouter(prefix="/api/v1/presentations", tags=["presentations"])

Writer = Annotated[ApiKey, Depends(require_api_key("presentations:write"))]
Reader = Annotated[ApiKey, Depends(require_api_key("presentations:read"))]

_RECORD: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The record as a file of text.",
        "content": {spec.VERIFICATION_RECORD_MEDIA_TYPE: {"schema": {"type": "string"}}},
    }
}


class PresentationBody(BaseModel):
    """What is asked, as a `policy` of the catalogue or a `dcql_query` of your own, and how."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"policy": "adult-check"},
                {
                    "dcql_query": {
                        "credentials": [
                            {
                                "id": "licence",
                                "format": "dc+sd-jwt",
                                "meta": {"vct_values": ["urn:jigap:vct:drivers-licence:1"]},
                                "claims": [{"path": ["age_over_19"]}],
                            }
                        ]
                    },
                    "flow": "same_device",
                    "redirect_uri": "https://shop.example/back",
                },
            ]
        },
    )
    policy: str | None = Field(None, description="Id of a policy of the catalogue.")
    dcql_query: dict[str, Any] | None = Field(None, description="A query of your own (OpenID4VP 6).")
    response_mode: Literal["direct_post.jwt", "direct_post", "dc_api", "dc_api.jwt"] = "direct_post.jwt"
    client_id_prefix: Literal["x509_hash", "x509_san_dns", "redirect_uri", "verifier_attestation"] = "x509_hash"
    registration: str | None = None
    request_uri_method: Literal["get", "post"] = "get"
    flow: Literal["cross_device", "same_device"] = Field(
        "cross_device", description="Where the wallet is, seen from the page that asks."
    )
    redirect_uri: str | None = Field(
        None, description="Same device: your https page to which the wallet sends the browser, with a response_code."
    )
    authorization_endpoint: str = Field(spec.REQUEST_SCHEME, description="The wallet's https address, or a scheme.")
    transaction_data: list[dict[str, Any]] | None = Field(
        default=None,
        description="What is to be agreed to: objects of a transaction type of the catalogue (`type` and its members). "
        "`credential_ids` may be left out: then any card of the query that can will do.",
    )
    expected_origins: list[str] | None = Field(
        None, description="Digital Credentials API: origins of your pages that ask, as a browser writes them."
    )
    dc_api_protocols: list[DcApiProtocol] | None = Field(
        None, description="Digital Credentials API: what the page offers, your favourite first; by default what fits."
    )
    webhook: str | None = None

    def order(self) -> PresentationOrder:
        """Return the order. Raises ``InvalidRequest`` for parameters that do not go together."""
        if self.response_mode.startswith("dc_api") != (self.expected_origins is not None):
            raise InvalidRequest("expected_origins go with response_mode dc_api or dc_api.jwt, and only with them")
        if self.expected_origins is None and self.dc_api_protocols is not None:
            raise InvalidRequest("dc_api_protocols go with response_mode dc_api or dc_api.jwt")
        if self.expected_origins == []:
            raise InvalidRequest("expected_origins is empty", clause="OpenID4VP A.2")
        return PresentationOrder(
            policy=self.policy,
            dcql_query=self.dcql_query,
            encrypted=self.response_mode in {spec.RESPONSE_MODE_DIRECT_POST_JWT, spec.RESPONSE_MODE_DC_API_JWT},
            client_id_prefix=ClientIdPrefix(self.client_id_prefix),
            request_uri_method=self.request_uri_method,
            flow=PresentationFlow(self.flow),
            redirect_uri=self.redirect_uri,
            authorization_endpoint=self.authorization_endpoint,
            webhook=self.webhook,
            registration=self.registration,
            expected_origins=tuple(self.expected_origins or ()),
            dc_api_protocols=None if self.dc_api_protocols is None else tuple(self.dc_api_protocols),
            transaction_data=tuple(self.transaction_data or ()),
        )


class RedeemBody(BaseModel):
    """The `response_code` that the browser brought back."""

    model_config = ConfigDict(extra="forbid")
    response_code: str = Field(max_length=200)


class DcApiResponseBody(BaseModel):
    """The `DigitalCredential` that the browser returned, and the `origin` of the page that asked for it."""

    model_config = ConfigDict(extra="ignore")
    protocol: str = Field(max_length=100, description="`protocol` of the DigitalCredential.")
    data: dict[str, Any] = Field(description="`data` of the DigitalCredential.")
    origin: str = Field(max_length=MAX_ORIGIN_CHARACTERS, description="Of your page: one of `expected_origins`.")


@router.post("", status_code=201, response_model=shapes.CreatedPresentation)
async def create_presentation(request: Request, body: PresentationBody, key: Writer) -> Response:
    """Ask for a presentation. A repeat with the same `Idempotency-Key` returns the first answer."""
    verifier = verifier_of(request)
    party, unit = verifier.party(key.owner), verifier.database.unit()

    def create() -> Answer:
        """Do it the first time the key comes."""
        order = body.order()
        if order.webhook is not None:
            require_secret(verifier.webhook_storage(unit), party.id)
        made = requests.create_presentation(verifier.presentations, verifier.storage(unit), party, order)
        return Answer(201, created_json(made))

    return await idempotent(request, unit, key, create)


@router.get("", response_model=shapes.PresentationList)
async def list_presentations(
    request: Request, key: Reader, cursor: Annotated[str, Query(max_length=64)] = ""
) -> Response:
    """List your presentations, newest first, without claims."""
    verifier = verifier_of(request)
    page, following = results.list_presentations(verifier.presentations, verifier.party(key.owner), before=cursor)
    listed = [{**result_json(each), "credentials": None} for each in page]
    return protocol_json({"presentations": listed, "next_cursor": following})


@router.get("/{presentation_id}", response_model=shapes.Presentation)
async def show_presentation(request: Request, presentation_id: str, key: Reader) -> Response:
    """Show what became of a presentation; in the same-device flow no claims before `redeem`."""
    verifier = verifier_of(request)
    party = verifier.party(key.owner)
    return protocol_json(result_json(results.show_presentation(verifier.presentations, party, presentation_id)))


@router.post("/{presentation_id}/redeem", response_model=shapes.Presentation)
async def redeem(request: Request, presentation_id: str, body: RedeemBody, key: Writer) -> Response:
    """Exchange the `response_code` of the same-device flow for the claims, once.

    A repeat with the same `Idempotency-Key` gets them again, as long as they are kept.
    """
    verifier = verifier_of(request)
    party, unit = verifier.party(key.owner), verifier.database.unit()

    def exchange() -> Answer:
        """Do it the first time the key comes. What is remembered is the outcome, never a claim."""
        right = results.redeem_response_code(
            verifier.storage(unit), party, presentation_id, body.response_code, now=verifier.clock.now()
        )
        return Answer(200 if right else 404, {})

    # Raised only now: the count of wrong codes is committed.
    if (await answer_idempotently(request, unit, key, exchange)).status != 200:
        raise NotFound("the response_code is wrong or too old", clause="OpenID4VP 13.3")
    return protocol_json(result_json(results.show_presentation(verifier.presentations, party, presentation_id)))


@router.post("/{presentation_id}/dc-api-response", response_model=shapes.Presentation)
async def receive_dc_api_response(
    request: Request, presentation_id: str, body: DcApiResponseBody, key: Writer
) -> Response:
    """Take what the browser's Digital Credentials API returned to your page, once.

    A repeat with the same `Idempotency-Key` gets the result again, as long as it is kept.
    """
    verifier = verifier_of(request)
    party, unit = verifier.party(key.owner), verifier.database.unit()
    answer = DcApiAnswer(body.protocol, body.data, body.origin)
    verdict: Verdict | None = None
    conflict: StateConflict | None = None
    try:
        verdict = await judge_with_statuses(
            verifier.presentations, party, presentation_id, answer, verifier.status_lists, verifier.http
        )
    except StateConflict as exc:
        conflict = exc

    def settle() -> Answer:
        """Do it the first time the key comes. What is remembered is the outcome, never a claim."""
        if verdict is None:
            raise conflict or StateConflict("this request was answered or has ended")
        storage = verifier.storage(unit)
        with storage.unit:
            record_verdict(storage, verdict, now=verifier.clock.now())
        if verdict.error is None:
            return Answer(200, {})
        return Answer(400, {"description": verdict.error.description, "clause": verdict.error.clause})

    settled = await answer_idempotently(request, unit, key, settle)
    if settled.status != 200:
        clause = settled.body["clause"]
        raise VerificationError(str(settled.body["description"]), clause=None if clause is None else str(clause))
    return protocol_json(result_json(results.show_presentation(verifier.presentations, party, presentation_id)))


@router.post("/{presentation_id}/forget-claims", response_model=shapes.Presentation)
async def forget_claims(request: Request, presentation_id: str, key: Writer) -> Response:
    """Delete the claims of a presentation now, before their time; a repeat changes nothing.

    `claims_until` counts from the answer. Where your policy promises an earlier end, or counts from a later event, call
    this when it comes. The record of the check stays until `record_until`, and nothing in it can be opened any more.
    """
    verifier = verifier_of(request)
    party, unit = verifier.party(key.owner), verifier.database.unit()

    def forget() -> Answer:
        """Do it the first time the key comes."""
        results.forget_claims(verifier.storage(unit), party, presentation_id, now=verifier.clock.now())
        return Answer(200, {})

    await answer_idempotently(request, unit, key, forget)
    return protocol_json(result_json(results.show_presentation(verifier.presentations, party, presentation_id)))


@router.get("/{presentation_id}/record", response_class=Response, responses=_RECORD)
async def show_record(
    request: Request, presentation_id: str, key: Reader, disclose: Annotated[bool, Query()] = False
) -> Response:
    """Give out the sealed verification record, a file to keep (`specs/verification-record.md`).

    Beside it lie the claims that the policy lets you keep; with `disclose=true` every claim that can still be read.
    """
    verifier = verifier_of(request)
    party = verifier.party(key.owner)
    record = records.show_record(verifier.presentations, party, presentation_id, disclose=disclose)
    return record_file(presentation_id, record)
