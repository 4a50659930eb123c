"""Tokens of the embedded identity: what they stand for, when they end, how many there are."""

import threading
from datetime import timedelta

import pytest

from nova_image_shim.adapters.identity_port import Named
from nova_image_shim.fakecloud.cloud import FakeCloud
from nova_image_shim.fakecloud.identity import identity
from nova_image_shim.fakecloud.identity.identity import Identity, Token, Unauthorized
from nova_image_shim.fakecloud.seed import Project, Seed, User


def login(cloud: FakeCloud, name: str = "demo", *, project: bool = True) -> Token:
    user = cloud.identity.user(Named(name=name))
    own = cloud.identity.project(Named(name=name)) if project else None
    return cloud.identity.issue(user, own, ("password",))


@pytest.mark.parametrize("seconds", [3600, 3601, 10**8])
def test_a_token_expires(fake_cloud: FakeCloud, seconds: int) -> None:
    token = login(fake_cloud)
    fake_cloud.clock.advance(3590)
    assert token == fake_cloud.identity.validate(token.id)
    fake_cloud.clock.advance(seconds - 3590)
    assert fake_cloud.identity.validate(token.id) is None


def test_the_token_lifetime_can_be_set_until_a_reset(fake_cloud: FakeCloud) -> None:
    long = login(fake_cloud)
    fake_cloud.identity.token_seconds = 5
    short = login(fake_cloud)
    assert timedelta(seconds=5) == short.expires_at - short.issued_at
    fake_cloud.clock.advance(6)
    assert (long, None) == tuple(map(fake_cloud.identity.validate, (long.id, short.id)))
    fake_cloud.reset()
    assert fake_cloud.identity.validate(long.id) is None
    assert timedelta(hours=1) == (token := login(fake_cloud)).expires_at - token.issued_at


def test_the_seed_sets_the_token_lifetime() -> None:
    token = login(FakeCloud(Seed(token_seconds=7)))
    assert timedelta(seconds=7) == token.expires_at - token.issued_at


def test_a_token_at_the_end_of_time_is_valid(fake_cloud: FakeCloud) -> None:
    fake_cloud.identity.token_seconds = 10**9
    fake_cloud.clock.advance(86400 * 365 * 7960)
    token = login(fake_cloud)
    assert token == fake_cloud.identity.validate(token.id)


def test_a_token_from_a_token_expires_with_it_and_names_the_first(fake_cloud: FakeCloud) -> None:
    first = login(fake_cloud, project=False)
    fake_cloud.clock.advance(1800)
    project = fake_cloud.identity.project(Named(name="demo"))
    second = fake_cloud.identity.issue(first.user, project, ("token",), first)
    third = fake_cloud.identity.issue(first.user, project, ("token",), second)
    for token in (second, third):
        assert ("password", "token") == token.methods
        assert (first.expires_at, first.audit_ids[0]) == (token.expires_at, token.audit_ids[1])
    assert 3 == len({token.audit_ids[0] for token in (first, second, third)})


@pytest.mark.parametrize("name", ["demo", "alt", "admin"])
def test_a_fixed_token_is_always_valid(fake_cloud: FakeCloud, name: str) -> None:
    fake_cloud.clock.advance(10**9)
    fake_cloud.identity.revoke(name)
    token = fake_cloud.identity.validate(name)
    assert token
    assert token.project
    role = "admin" if name == "admin" else "member"
    assert (name, name, (role,)) == (token.user.name, token.project.id, token.roles)
    assert timedelta(hours=1) == token.expires_at - token.issued_at


def test_a_fixed_token_belongs_to_the_project_of_its_name() -> None:
    projects = (Project("p1", "demo"), Project("alt", "other"))
    owner = User("u1", "owner", "x", "x", {"p1": ("reader",)})
    cloud = Identity(Seed(projects=projects, users=(owner,)), FakeCloud(Seed()).clock.now)
    token = cloud.validate("demo")
    assert token
    assert (owner, projects[0], ("reader",)) == (token.user, token.project, token.roles)
    assert (None, None) == (cloud.validate("alt"), cloud.validate("admin"))


def test_a_fixed_token_of_a_project_without_users_has_the_member_role() -> None:
    cloud = FakeCloud(Seed(projects=(Project("p1", "demo"),), users=()))
    token = cloud.identity.validate("demo")
    assert token
    assert ("demo", ("member",)) == (token.user.name, token.roles)


@pytest.mark.parametrize("token_id", ["", "made-up", "Demo", " demo", "default"])
def test_a_made_up_token_is_invalid(fake_cloud: FakeCloud, token_id: str) -> None:
    assert fake_cloud.identity.validate(token_id) is None


def test_a_revoked_token_is_invalid(fake_cloud: FakeCloud) -> None:
    kept, token = login(fake_cloud), login(fake_cloud)
    fake_cloud.identity.revoke(token.id)
    fake_cloud.identity.revoke(token.id)
    assert (kept, None) == tuple(map(fake_cloud.identity.validate, (kept.id, token.id)))


def test_the_number_of_tokens_is_limited(
    fake_cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_MAX_TOKENS", 3)
    fake_cloud.reset()
    tokens = [login(fake_cloud) for _ in range(4)]
    good = [fake_cloud.identity.validate(token.id) is not None for token in tokens]
    assert [False, True, True, True] == good


def test_a_token_for_a_project_needs_a_role_in_it(fake_cloud: FakeCloud) -> None:
    demo = fake_cloud.identity.user(Named(name="demo"))
    alt = fake_cloud.identity.project(Named(name="alt"))
    with pytest.raises(Unauthorized, match="user 'demo' has no role in project 'alt'"):
        fake_cloud.identity.issue(demo, alt, ("password",))


@pytest.mark.parametrize(
    ("named", "domain", "found"),
    [
        (Named(id="demo"), Named(), True),
        (Named(id="demo"), Named(name="nowhere"), True),
        (Named(name="demo"), Named(id="default"), True),
        (Named(name="demo"), Named(name="Default"), True),
        (Named(name="demo"), Named(name="default"), True),
        (Named(name="demo"), Named(id="Default"), False),
        (Named(name="demo"), Named(), False),
        (Named(name="Demo"), Named(id="default"), False),
        (Named(id="nobody", name="demo"), Named(id="default"), False),
    ],
)
def test_a_name_needs_its_domain_and_an_id_does_not(
    fake_cloud: FakeCloud, named: Named, domain: Named, found: bool
) -> None:
    for find in (fake_cloud.identity.user, fake_cloud.identity.project):
        if found:
            assert "demo" == find(named, domain).name
        else:
            with pytest.raises(Unauthorized):
                find(named, domain)


def test_repr_of_users_and_tokens_hides_secrets() -> None:
    user = User("u", "n", password="hunter2", api_key="hunter3")
    cloud = FakeCloud(Seed(users=(user,)))
    token = cloud.identity.issue(user, None, ("password",))
    shown = repr((user, token))
    assert [] == [secret for secret in ("hunter2", "hunter3", token.id) if secret in shown]


def test_threads_log_in_and_out_at_once(fake_cloud: FakeCloud) -> None:
    errors: list[object] = []

    def work() -> None:
        for _ in range(200):
            token = login(fake_cloud)
            if fake_cloud.identity.validate(token.id) != token:
                errors.append(token)
            fake_cloud.identity.revoke(token.id)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == errors
