import { SteelyardError } from "../errors.ts";

/** What each shell needs to ask the command itself. A candidate that ends in `=` or `.` is not whole: no space after it. */

const bash = `# bash completion of steelyard: eval "$(steelyard completion bash)", or a file in /usr/share/bash-completion/completions
_steelyard() {
  local line=\${COMP_LINE:0:COMP_POINT} words current candidate prefix=
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  current=\${words[-1]}
  # Readline breaks words at these, and then wants only what follows.
  if [[ $COMP_WORDBREAKS == *=* && $current == *=* ]]; then prefix=\${current%"\${current##*=}"}; fi
  if [[ $COMP_WORDBREAKS == *:* && $current == *:* ]]; then prefix=\${current%"\${current##*:}"}; fi
  COMPREPLY=()
  while IFS=$'\\t' read -r candidate _; do
    [[ -n $candidate ]] && COMPREPLY+=("\${candidate#"$prefix"}")
  done < <("\${words[0]}" __complete "\${words[@]:1}" 2>/dev/null)
  if [[ \${COMPREPLY[0]-} == *[=.] ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -o default -F _steelyard steelyard
`;

const zsh = `#compdef steelyard
# zsh completion of steelyard: steelyard completion zsh > a file _steelyard in a directory of $fpath
_steelyard() {
  local line candidate
  local -a whole open descriptions openDescriptions
  while IFS= read -r line; do
    candidate=\${line%%$'\\t'*}
    [[ -n $candidate ]] || continue
    if [[ $candidate == *[=.] ]]; then
      open+=("$candidate"); openDescriptions+=("\${line/$'\\t'/  }")
    else
      whole+=("$candidate"); descriptions+=("\${line/$'\\t'/  }")
    fi
  done < <("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( \${#whole} + \${#open} )) || { _files; return }
  (( \${#whole} )) && compadd -l -d descriptions -- "\${whole[@]}"
  (( \${#open} )) && compadd -l -S '' -d openDescriptions -- "\${open[@]}"
  return 0
}
if [[ $funcstack[1] == _steelyard ]]; then _steelyard "$@"; else compdef _steelyard steelyard; fi
`;

const fish = `# fish completion of steelyard: steelyard completion fish > ~/.config/fish/completions/steelyard.fish
function __steelyard_complete
  set -l words (commandline --tokenize --cut-at-cursor --current-process)
  set -l current (commandline --current-token --cut-at-cursor)
  set -l found (steelyard __complete $words[2..-1] "$current" 2>/dev/null)
  if set -q found[1]
    printf '%s\\n' $found
  else
    __fish_complete_path "$current"
  end
end
complete --command steelyard --no-files --arguments '(__steelyard_complete)'
`;

const scripts: Record<string, string> = { bash, zsh, fish };

/** Throws `bad-input` for a shell there is none for. */
export function completionScript(shell: string): string {
  const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined;
  if (script === undefined) throw new SteelyardError("bad-input", `${shell}: expected bash, zsh or fish`);
  return script.trimEnd();
}
