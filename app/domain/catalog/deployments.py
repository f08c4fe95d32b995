"""Models (the public names), their aliases, and deployments: which provider serves a model, under which name."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import BadValue, Conflict, NotFound
from app.base.ids import new_id
from app.domain.catalog.models import Deployment, Model, ModelAlias

MODEL_TYPES = ("chat", "embedding", "image", "video", "speech", "transcription", "moderation")
MAX_WEIGHT = 1_000_000
MAX_PRIORITY = 1_000_000


def check_model_name(name: str) -> str:
    """A model's public name, its alias, or its name at the provider.

    Raises:
        BadValue: empty, longer than 200 characters, or with spaces or control characters.
    """
    if not 1 <= len(name) <= 200 or not name.isprintable() or any(character.isspace() for character in name):
        raise BadValue("A model's name has 1 to 200 characters, no spaces and no control characters.", param="model")
    return name


async def models(session: AsyncSession) -> Sequence[Model]:
    """All models by name."""
    return (await session.scalars(select(Model).order_by(Model.name))).all()


async def get_model(session: AsyncSession, model_id: str) -> Model:
    """
    Raises:
        NotFound: there is no such model.
    """
    model = await session.get(Model, model_id)
    if model is None:
        raise NotFound("There is no such model.")
    return model


async def find_model(session: AsyncSession, name: str) -> Model | None:
    """By its name, not by an alias."""
    return await session.scalar(select(Model).where(Model.name == name))


async def add_model(session: AsyncSession, *, name: str, type: str, markup_basis_points: int | None = None) -> Model:
    """
    Raises:
        BadValue: the name or the type cannot be.
        Conflict: another model or an alias has the name.
    """
    await _refuse_taken(session, check_model_name(name))
    model = Model(
        id=new_id(),
        name=name,
        type=_check_type(type),
        markup_basis_points=markup_basis_points,
        created_at=clock.now(),
    )
    session.add(model)
    await session.flush()
    return model


async def change_model(session: AsyncSession, model_id: str, *, type: str, markup_basis_points: int | None) -> None:
    """
    Raises:
        BadValue: the type cannot be.
        NotFound: there is no such model.
    """
    model = await get_model(session, model_id)
    model.type = _check_type(type)
    model.markup_basis_points = markup_basis_points
    await session.flush()


async def remove_model(session: AsyncSession, model_id: str) -> None:
    """Remove a model with its aliases and deployments. Rate lines stay: they explain old calls.

    Raises:
        NotFound: there is no such model.
    """
    if await session.scalar(delete(Model).where(Model.id == model_id).returning(Model.id)) is None:
        raise NotFound("There is no such model.")


async def aliases(session: AsyncSession) -> Sequence[ModelAlias]:
    return (await session.scalars(select(ModelAlias).order_by(ModelAlias.alias))).all()


async def set_alias(session: AsyncSession, model_id: str, alias: str) -> None:
    """From now on `alias` names this model, whichever it named before.

    Raises:
        BadValue: the alias cannot be.
        NotFound: there is no such model.
        Conflict: a model has that name.
    """
    check_model_name(alias)
    await get_model(session, model_id)
    if await find_model(session, alias) is not None:
        raise Conflict(f'There is a model "{alias}"; an alias must have another name.', param="aliases")
    row = await session.get(ModelAlias, alias)
    if row is None:
        session.add(ModelAlias(alias=alias, model_id=model_id))
    else:
        row.model_id = model_id
    await session.flush()


async def remove_alias(session: AsyncSession, alias: str) -> None:
    """
    Raises:
        NotFound: there is no such alias.
    """
    if await session.scalar(delete(ModelAlias).where(ModelAlias.alias == alias).returning(ModelAlias.alias)) is None:
        raise NotFound(f'There is no alias "{alias}".')


async def listed(session: AsyncSession, model_id: str | None = None) -> Sequence[Deployment]:
    """The deployments of a model, or with None of all, those first that are tried first."""
    query = select(Deployment).order_by(Deployment.model_id, Deployment.priority, Deployment.id)
    if model_id is not None:
        query = query.where(Deployment.model_id == model_id)
    return (await session.scalars(query)).all()


async def get(session: AsyncSession, deployment_id: str) -> Deployment:
    """
    Raises:
        NotFound: there is no such deployment.
    """
    deployment = await session.get(Deployment, deployment_id)
    if deployment is None:
        raise NotFound("There is no such deployment.")
    return deployment


async def add(
    session: AsyncSession,
    *,
    model_id: str,
    provider_id: str,
    upstream_model: str,
    weight: int = 100,
    priority: int = 0,
) -> Deployment:
    """Whoever calls has looked up model and provider.

    Raises:
        BadValue: a name or a number cannot be.
        Conflict: the provider serves the model under that name already.
    """
    check_model_name(upstream_model)
    _check_numbers(weight, priority)
    taken = select(Deployment.id).where(
        Deployment.model_id == model_id,
        Deployment.provider_id == provider_id,
        Deployment.upstream_model == upstream_model,
    )
    if await session.scalar(taken) is not None:
        raise Conflict("This provider serves the model under that name already.", param="upstream_model")
    deployment = Deployment(
        id=new_id(),
        model_id=model_id,
        provider_id=provider_id,
        upstream_model=upstream_model,
        weight=weight,
        priority=priority,
    )
    session.add(deployment)
    await session.flush()
    return deployment


async def change(session: AsyncSession, deployment_id: str, *, weight: int, priority: int) -> None:
    """
    Raises:
        BadValue: a number cannot be.
        NotFound: there is no such deployment.
    """
    _check_numbers(weight, priority)
    deployment = await get(session, deployment_id)
    deployment.weight, deployment.priority = weight, priority
    await session.flush()


async def remove(session: AsyncSession, deployment_id: str) -> None:
    """Its rate lines stay: they explain old calls.

    Raises:
        NotFound: there is no such deployment.
    """
    if await session.scalar(delete(Deployment).where(Deployment.id == deployment_id).returning(Deployment.id)) is None:
        raise NotFound("There is no such deployment.")


async def _refuse_taken(session: AsyncSession, name: str) -> None:
    if await find_model(session, name) is not None:
        raise Conflict(f'There is already a model "{name}".', param="model")
    if await session.get(ModelAlias, name) is not None:
        raise Conflict(f'"{name}" is an alias of another model.', param="model")


def _check_type(type: str) -> str:
    if type not in MODEL_TYPES:
        raise BadValue(f"type must be one of {', '.join(MODEL_TYPES)}.", param="type")
    return type


def _check_numbers(weight: int, priority: int) -> None:
    if not 0 <= weight <= MAX_WEIGHT:
        raise BadValue(f"weight must be a whole number from 0 to {MAX_WEIGHT}.", param="weight")
    if not 0 <= priority <= MAX_PRIORITY:
        raise BadValue(f"priority must be a whole number from 0 to {MAX_PRIORITY}; lower is tried first.")
