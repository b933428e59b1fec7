#!/usr/bin/env bash
# Downloads desktop 3D Slicer and unpacks it: get_slicer.sh Linux|Windows|macOS release|nightly FOLDER
# Not run yet: it needs download.slicer.org.
set -euo pipefail
system=$1 stability=$2 folder=$3
case $system in
    Linux) name=linux file=slicer.tar.gz ;;
    Windows) name=win file=slicer.exe ;;
    macOS) name=macosx file=slicer.dmg ;;
    *) echo "Error: expected Linux, Windows or macOS, found $system" >&2; exit 2 ;;
esac

work=$(mktemp -d)
curl --fail --silent --show-error --location --retry 3 --output "$work/$file" \
    "https://download.slicer.org/download?os=$name&stability=$stability"
mkdir -p "$folder"
case $system in
    Linux)
        tar -xzf "$work/$file" -C "$folder" --strip-components=1
        ;;
    Windows)
        # The installer is NSIS: silent with /S; the folder comes last, unquoted, as Windows writes it.
        MSYS2_ARG_CONV_EXCL='*' "$work/$file" /S "/D=$(cygpath -w "$folder")"
        ;;
    macOS)
        hdiutil attach -nobrowse -readonly -mountpoint "$work/disk" "$work/$file"
        cp -R "$work"/disk/Slicer.app "$folder/"
        hdiutil detach "$work/disk"
        ;;
esac
