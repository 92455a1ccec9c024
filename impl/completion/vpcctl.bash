# bash completion for vpcctl(1).  Commands, options, virtual machines, pipes and events come from vpcctl itself.

# Words of one kind, as the usage of a command calls them; $@ is vpcctl with its options.
_vpcctl_names() {
    local kind=$1 vm=$2
    shift 2
    case $kind in
    VM) "$@" list | awk 'NR > 1 { print $1 }' ;;
    PIPE) "$@" devices "$vm" --json | grep -o '"pipe": "[^"]*"' | sed 's/.*\\\\//; s/"$//' | sort -u ;;
    LISTEN) "$@" forward "$vm" --list --json | grep -o '"listen": "[^"]*"' | sed 's/.*: "//; s/"$//' | sort -u ;;
    ID) "$@" events --explain all | awk '/^[0-9]/ { print $1; print $2 }' ;;
    esac 2>/dev/null
}

_vpcctl() {
    local program=${COMP_WORDS[0]} cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local command='' vm='' place=0 i usage words
    local -a call=("$program")
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --runtime-dir) call+=(--runtime-dir "${COMP_WORDS[++i]}") ;;
        --socket | --file | --tag | --timeout | --linger | --explain | --remove) ((++i)) ;;
        -*) ;;
        *)
            ((++place == 2)) && vm=${COMP_WORDS[i]}
            command=${command:-${COMP_WORDS[i]}}
            ;;
        esac
    done

    case $prev in
    --runtime-dir | --socket | --file)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --tag | --timeout | --linger) return ;;
    --explain) words=$(_vpcctl_names ID '' "${call[@]}") ;;
    --remove) words=$(_vpcctl_names LISTEN "$vm" "${call[@]}") ;;
    *)
        if [[ -z $command ]]; then
            words="$("$program" --help 2>/dev/null | awk '/^  / { print $1 }') --help --version"
        elif [[ $cur == -* ]]; then
            words=$("$program" "$command" --help 2>/dev/null | grep -oE -- '^  --[a-z-]+')
        else
            read -ra usage < <("$program" "$command" --help 2>/dev/null)
            # usage: vpcctl COMMAND FIRST SECOND ...
            words=$(_vpcctl_names "${usage[place + 2]-}" "$vm" "${call[@]}")
        fi
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _vpcctl vpcctl
