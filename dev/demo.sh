#!/bin/sh
# The main job on the packaged scene: houses with a click or two each, then every road in view with one.
#   sh dev/demo.sh terraclick out [model]
set -eu
terraclick=$1
out=$2
model=${3:-terra}
mkdir -p "$out"
start=$(date +%s)
"$terraclick" segment sample --points dev/demo_houses.csv --square --model "$model" \
    --out "$out/demo.gpkg" --preview "$out/demo.png" --overwrite
"$terraclick" segment sample --click 500319.9,4649713.0 \
    --target class --class road --model "$model" \
    --out "$out/demo.gpkg" --append --preview "$out/demo_roads.png" --overwrite
echo "wall time: $(($(date +%s) - start)) s; wrote $out/demo.gpkg, $out/demo.png and $out/demo_roads.png"
