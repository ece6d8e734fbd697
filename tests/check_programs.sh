#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_programs.sh PROGRAMS MODEL PHOTO FOLDER: what the example programs do about results that would collide, a standard output
# that is closed or full, and a disk that is full. FOLDER is made anew.
set -uo pipefail
programs=$1 model=$2 photo=$3 folder=$4
rm -rf "$folder" && mkdir -p "$folder/a" "$folder/b" || exit 2
for name in a/x.jpg b/x.jpg a/X.png ...jpg; do cp "$photo" "$folder/$name" || exit 2; done

failures=0
# expect STATUS WORDS COMMAND...: the exit status, and that standard error holds the words.
expect() {
  local status=$1 words=$2 said got
  shift 2
  said=$("$@" 2>&1 >"${out:-/dev/null}")
  got=$?
  [[ $got == "$status" && $said == *"$words"* ]] && return
  echo "$*: status $got, expected $status; said '$said', expected '$words'" >&2
  failures=$((failures + 1))
}
# The same with standard output closed.
closed() { "$@" >&-; }

results=$folder/results
predict=("$programs/dense_prediction" --model "$model" --output "$results" --size 64 96)
expect 1 'would overwrite those of' "${predict[@]}" "$folder/a/x.jpg" "$folder/b/x.jpg"
expect 1 'would overwrite those of' "${predict[@]}" "$folder/a/x.jpg" "$folder/a/X.png"
expect 1 'cannot name the folder' "${predict[@]}" "$folder/...jpg"
[[ -e $results ]] && expect 0 'nothing is written before that is said' false
expect 1 'two maps would be written to' "$programs/predict_maps" "$model" 64 96 < <(printf 'p.ppm\tq\nr.ppm\tq\n')

for command in "${predict[*]} $folder/a/x.jpg" "$programs/minimal $model" "$programs/verify_model $model" \
  "$programs/time_model $model 64 96 1 1" "$programs/dense_prediction --help"; do
  read -ra words <<<"$command"
  failed=1 said='standard output'
  [[ ${words[0]} == */verify_model ]] && failed=2
  [[ ${words[0]} == */minimal ]] && said=''
  expect "$failed" "$said" closed "${words[@]}"
  if [[ -e /dev/full ]]; then out=/dev/full expect "$failed" "$said" "${words[@]}"; fi
done
cmp -s <(head -c 2 "$results"/*/x/panel.jpg) <(printf '\xff\xd8') || expect 0 'panel.jpg is a JPEG, whatever was closed' false

# A disk that takes no more than 20 KB a file.
rm -rf "$results"
small() { (ulimit -f 20 && trap '' XFSZ && exec "$@"); }
expect 1 'cannot be written (File too large)' small "${predict[@]}" "$folder/a/x.jpg"
[[ $(find "$results" -type f -size +19k) || $(find "$results" -name '*.tmp') ]] && expect 0 'no file is cut off' false
((failures == 0)) && echo "The programs say what they could not do."
exit $((failures > 0))
