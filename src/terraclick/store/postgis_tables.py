"""The tables of a session in a PostGIS schema, and what notices changes made by other programs."""

from __future__ import annotations

from terraclick.store.fields import COLUMNS, declared

__all__ = ["NOTICING", "NOTICING_VERSION", "tables"]

_TABLES = """
CREATE TABLE objects (
  fid bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, geom geometry(MultiPolygon, {srid}),
  {columns});
CREATE INDEX objects_geom ON objects USING gist (geom);
CREATE INDEX objects_image ON objects (image);
CREATE TABLE clicks (
  object text NOT NULL, "order" integer NOT NULL, "row" double precision NOT NULL, col double precision NOT NULL,
  x double precision NOT NULL, y double precision NOT NULL, positive boolean NOT NULL, time text,
  PRIMARY KEY (object, "order"));
CREATE TABLE views (object text PRIMARY KEY, content text NOT NULL);
CREATE TABLE classes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, colour text, "key" text, kind text,
  schema text);
CREATE TABLE "references" (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, uuid text NOT NULL UNIQUE, class text NOT NULL,
  positive boolean NOT NULL, crop bytea NOT NULL, mask bytea NOT NULL, created text);
CREATE TABLE images (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, path text NOT NULL UNIQUE, hash text, crs text, bounds text,
  reading text);
CREATE TABLE drafts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, uuid text NOT NULL UNIQUE, author text NOT NULL,
  image text NOT NULL, content text NOT NULL, updated text);
CREATE TABLE meta ("key" text PRIMARY KEY, value text);
"""

NOTICING = """
CREATE OR REPLACE FUNCTION objects_touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF coalesce(current_setting('terraclick.session', true), '') = 'own' THEN RETURN NEW; END IF;
  IF TG_OP = 'INSERT' THEN
    NEW.area_m2 = NULL; NEW.perimeter_m = NULL;
    RETURN NEW;
  END IF;
  IF NEW.rev = OLD.rev THEN NEW.rev = OLD.rev + 1; END IF;
  IF NOT NEW.geom = OLD.geom OR NEW.area_m2 IS DISTINCT FROM OLD.area_m2
    OR NEW.perimeter_m IS DISTINCT FROM OLD.perimeter_m THEN NEW.area_m2 = NULL; NEW.perimeter_m = NULL; END IF;
  RETURN NEW; END $$;
CREATE OR REPLACE FUNCTION objects_gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  DELETE FROM clicks WHERE object = OLD.uuid; DELETE FROM views WHERE object = OLD.uuid;
  RETURN NULL; END $$;
DROP TRIGGER IF EXISTS objects_touched ON objects;
CREATE TRIGGER objects_touched BEFORE INSERT OR UPDATE ON objects
  FOR EACH ROW EXECUTE FUNCTION objects_touched();
DROP TRIGGER IF EXISTS objects_gone ON objects;
CREATE TRIGGER objects_gone AFTER DELETE ON objects FOR EACH ROW EXECUTE FUNCTION objects_gone();
"""
"""What notices changes made by other programs; our own connections say who they are in `terraclick.session`."""

NOTICING_VERSION = "1"


def tables(srid: int) -> str:
    """The statements that make a session's tables, with geometry in PostGIS's coordinate system of that number."""
    columns = ", ".join(declared(column, "postgis") for column in COLUMNS)
    return _TABLES.replace("{srid}", str(srid)).replace("{columns}", columns)
