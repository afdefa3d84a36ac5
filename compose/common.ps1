# What the PowerShell scripts of this folder share; the twin of common.sh.
$ErrorActionPreference = 'Stop'
$here = $PSScriptRoot
$envFile = if ($env:KILN_ENV_FILE) { $env:KILN_ENV_FILE } else { Join-Path $here '.env' }

# The environment's value, else the one of .env, else the default. Nothing is executed.
function Get-Setting([string]$Name, [string]$Default = '') {
    $value = [Environment]::GetEnvironmentVariable($Name)
    if ($value) { return $value }
    if (Test-Path $envFile) {
        foreach ($line in Get-Content $envFile) {
            if ($line.StartsWith("$Name=")) { $value = $line.Substring($Name.Length + 1).Trim('"', "'") }
        }
    }
    if ($value) { return $value }
    return $Default
}

# As compose reads a path, relative to this folder.
function Get-PathSetting([string]$Name, [string]$Default) {
    $value = Get-Setting $Name $Default
    if ([IO.Path]::IsPathRooted($value)) { return $value }
    return Join-Path $here $value
}

function Assert-Env {
    if (-not (Test-Path $envFile)) { throw "There is no $envFile; start.ps1 makes one, or copy .env.example" }
}

# docker compose with the overlays of KILN_OVERLAYS; throws when it fails.
function Invoke-Compose {
    $files = @('-f', (Join-Path $here 'compose.yaml'))
    foreach ($overlay in (Get-Setting 'KILN_OVERLAYS') -split '\s+' | Where-Object { $_ }) {
        $file = Join-Path $here "compose.$overlay.yaml"
        if (-not (Test-Path $file)) { throw "KILN_OVERLAYS names ""$overlay"", and there is no compose.$overlay.yaml" }
        $files += @('-f', $file)
    }
    & docker compose --project-directory $here --env-file $envFile @files @args
    if ($LASTEXITCODE -ne 0) { throw "docker compose $($args[0]) ended with $LASTEXITCODE" }
}
