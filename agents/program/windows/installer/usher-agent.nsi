; The installer of the agent for 64-bit Windows. agents/pack_windows.py gives VERSION, SOURCE (what is installed), OUT.
; Everything that can be tested is in Python (agents.program.windows); here files are copied and it is called.
;
;   usher-agent-setup.exe /S --broker https://broker.example.com --token STRING     install or upgrade, silently
;   "C:\Program Files\Usher Agent\uninstall.exe" /S                                  remove, settings and state too
;
; Exit codes: 0 done, 1 not done (the reason is on the screen, or in %TEMP%\usher-agent-setup.log where silent).

Target amd64-unicode
!include LogicLib.nsh
!include FileFunc.nsh
!include x64.nsh

Name "Usher Agent"
OutFile "${OUT}"
InstallDir "$PROGRAMFILES64\Usher Agent"
RequestExecutionLevel admin
ManifestSupportedOS all
VIProductVersion "${VERSION}.0"
VIAddVersionKey ProductName "Usher Agent"
VIAddVersionKey FileDescription "Usher Agent Setup"
VIAddVersionKey FileVersion "${VERSION}"
VIAddVersionKey LegalCopyright "Apache License 2.0"

!define ENTRY "Software\Microsoft\Windows\CurrentVersion\Uninstall\UsherAgent"

Page instfiles
UninstPage uninstConfirm
UninstPage instfiles

; Calls our Python and gives up, with its words, where it says no.
!macro Agent arguments
  nsExec::ExecToStack '"$INSTDIR\python.exe" -m agents.program.windows ${arguments}'
  Pop $0
  Pop $1
  ${If} $0 != 0
    DetailPrint "$1"
    FileOpen $2 "$TEMP\usher-agent-setup.log" w
    FileWriteUTF16LE /BOM $2 "$1"
    FileClose $2
    SetErrorLevel 1
    ${IfNot} ${Silent}
      MessageBox MB_ICONSTOP "$1"
    ${EndIf}
    Abort "$1"
  ${EndIf}
!macroend

; Removes what we installed, and never a folder that somebody else filled.
!macro Clear
  ${If} ${FileExists} "$INSTDIR\usher-agent.pyz"
    RMDir /r "$INSTDIR"
  ${EndIf}
!macroend

Function .onInit
  ${IfNot} ${RunningX64}
    SetErrorLevel 1
    Abort
  ${EndIf}
  SetRegView 64
FunctionEnd

Function un.onInit
  SetRegView 64
FunctionEnd

Section
  ${If} ${FileExists} "$INSTDIR\usher-agent.pyz"
    !insertmacro Agent "stop-for-upgrade"
  ${EndIf}
  !insertmacro Clear
  SetOutPath "$INSTDIR"
  File /r "${SOURCE}/*"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  WriteRegStr HKLM "${ENTRY}" DisplayName "Usher Agent"
  WriteRegStr HKLM "${ENTRY}" DisplayVersion "${VERSION}"
  WriteRegStr HKLM "${ENTRY}" InstallLocation "$INSTDIR"
  WriteRegStr HKLM "${ENTRY}" UninstallString '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKLM "${ENTRY}" QuietUninstallString '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD HKLM "${ENTRY}" NoModify 1
  WriteRegDWORD HKLM "${ENTRY}" NoRepair 1
  ${GetParameters} $R0
  !insertmacro Agent "install $R0"
SectionEnd

Section Uninstall
  SetOutPath "$TEMP" ; nobody can remove the folder that one stands in
  !insertmacro Agent "remove --purge"
  DeleteRegKey HKLM "${ENTRY}"
  !insertmacro Clear
SectionEnd
