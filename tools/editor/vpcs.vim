" Scenarios of the VPCBus conformance harness, *.vpcs (conformance/LANGUAGE.md).
"
" Copy or link it to ~/.vim/syntax/vpcs.vim, and write in ~/.vimrc:
"   autocmd BufRead,BufNewFile *.vpcs setfiletype vpcs
" conformance/tests/test_language.c compares the words here with those of the language.

if exists("b:current_syntax")
  finish
endif

syn case match
syn iskeyword @,48-57,_,-

syn keyword vpcsSetting covers subject needs backends descriptors option
syn keyword vpcsBlock repeat either or unordered end
syn keyword vpcsStep session auto wait kill start restart stop stopped refuses clock waiter vm bus api event log ready pipe tcp
syn keyword vpcsVerb idle looks stop go wait ready timeout none up down silent pause resume shutdown close-port unwatch watch raw part pad close device no-device forward no-forward return
syn keyword vpcsVerb kill save restore unplug plug error greeting eof set reset open refused deny taken listen unlisten deaf join unjoined accepted shutdown abort
syn keyword vpcsMessage event hello ready heartbeat goodbye open opened refused data credit fin reset released
syn keyword vpcsModifier within for by ignoring in background non-strict not-started not-ready repeated clean because SIGINT

syn match vpcsArrow "[<>]"
syn match vpcsRequirement "\<[A-Z]\{3}-[0-9]\+\>"
syn match vpcsResult "\<\(S_OK\|[EV][A-Z_]*_[A-Z_]\+\|DISP_E_[A-Z]\+\)\>"
syn match vpcsField "[a-z_][a-z0-9_.-]*\ze!\?="
syn match vpcsVariable "\$[A-Za-z_][A-Za-z0-9_]*\([+-][0-9]\+\)\?"
syn match vpcsCounter "{[a-z_]\+}"
syn match vpcsNumber "\<\(0x[0-9a-f]\+\|[0-9]\+\(ms\|s\)\?\)\>"
syn match vpcsEscape contained "\\\([nrt0\"\\]\|x[0-9A-Fa-f]\{2}\)"
syn region vpcsText start=+"+ skip=+\\.+ end=+"+ oneline contains=vpcsEscape,vpcsCounter
syn match vpcsComment "#.*$"

hi def link vpcsSetting PreProc
hi def link vpcsBlock Repeat
hi def link vpcsStep Statement
hi def link vpcsVerb Function
hi def link vpcsMessage Type
hi def link vpcsModifier Keyword
hi def link vpcsArrow Operator
hi def link vpcsRequirement Tag
hi def link vpcsResult Constant
hi def link vpcsField Identifier
hi def link vpcsVariable Identifier
hi def link vpcsCounter Identifier
hi def link vpcsNumber Number
hi def link vpcsEscape SpecialChar
hi def link vpcsText String
hi def link vpcsComment Comment

let b:current_syntax = "vpcs"
