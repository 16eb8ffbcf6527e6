/** The parts of an object as a geometry of OpenLayers: areas, lines or points, by how deep they are nested. */

import MultiLineString from "ol/geom/MultiLineString.js";
import MultiPoint from "ol/geom/MultiPoint.js";
import MultiPolygon from "ol/geom/MultiPolygon.js";
import { depthOf } from "../geometry.js";

const SHAPES = { 2: MultiPoint, 3: MultiLineString, 4: MultiPolygon };

export const shapeOf = (coordinates) => new (SHAPES[depthOf(coordinates)] ?? MultiPolygon)(coordinates);
