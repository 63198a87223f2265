"""Whether the service accounts have the rights that they need, and no right to all secrets."""

from collections.abc import Iterator
from dataclasses import replace

from aira_lib.cluster.kinds import Kind, Object
from aira_lib.cluster.refusals import Refused
from aira_lib.cluster.rights import KUBEFLOW, Right, Role, rights, roles
from aira_lib.remote.doctor.finding import Finding, Place, unseen

_ACCOUNTS = Kind("v1", "serviceaccounts")
_API = "/apis/authorization.k8s.io/v1"
_MOST_NAMED = 4


def account_rights(place: Place) -> Iterator[Finding]:
    """What each role's account may not do, as SubjectAccessReviews say; of this process alone where they may not."""
    runs, me = place.cluster.kubeflow.namespace, _self(place)
    for role in roles(place.cluster):
        area = f"rights of {role.account}"
        if not _there(place, role.account):
            text = f"there is no service account {role.account} in {runs}: charts/aira makes it"
            yield Finding("missing", area, text)
            continue
        user = f"system:serviceaccount:{runs}:{role.account}"
        # Rights on Kubeflow's own group are asked after by Kubeflow, and only where it knows users.
        wanted = [right for right in rights(role) if right.group != KUBEFLOW]
        whom = "" if user == me else user
        try:
            lacking = [right for right in wanted if not _may(place, whom, right)]
        except Refused as error:
            yield unseen(area, error, f"role {role.name} in {role.namespace}")
            continue
        yield _said(role, area, len(wanted), lacking)
        if _may(place, whom, Right(runs, "list", "", "secrets")):
            text = f"it may read all secrets of {runs}: take that right away, candidates' searches run under it"
            yield Finding("doubtful", area, text)


def _said(role: Role, area: str, count: int, lacking: list[Right]) -> Finding:
    if not lacking:
        return Finding("good", area, f"all {count} of role {role.name} in {role.namespace}")
    named = "; ".join(map(str, lacking[:_MOST_NAMED]))
    more = f" and {len(lacking) - _MOST_NAMED} more" if len(lacking) > _MOST_NAMED else ""
    return Finding("missing", area, f"it may not {named}{more}: bind role {role.name} of charts/aira to it")


def _there(place: Place, account: str) -> bool:
    """Whether there is such an account, as far as that may be looked at."""
    try:
        return place.kubernetes.within(place.cluster.kubeflow.namespace).get(_ACCOUNTS, account) is not None
    except Refused:
        return True


def _may(place: Place, user: str, right: Right) -> bool:
    """Whether a user may; empty: this process, which may always ask that."""
    resource, _, part = right.resource.partition("/")
    wanted = {"namespace": right.namespace, "verb": right.verb, "group": right.group, "resource": resource}
    wanted |= {"subresource": part} if part else {}
    wanted |= {"name": right.name} if right.name else {}
    kind = "SubjectAccessReview" if user else "SelfSubjectAccessReview"
    review: Object = {"apiVersion": "authorization.k8s.io/v1", "kind": kind}
    review["spec"] = {**({"user": user} if user else {}), "resourceAttributes": wanted}
    answer = place.kubernetes.connection.request("POST", f"{_API}/{kind.lower()}s", body=review)
    return bool(answer["status"]["allowed"])


def _self(place: Place) -> str:
    """Who this process is to the server; empty where that cannot be told."""
    body: Object = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    quick = replace(place.kubernetes.connection, patience=0.0)
    try:
        answer = quick.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=body)
    except Refused:
        return ""
    return str(answer.get("status", {}).get("userInfo", {}).get("username", ""))
