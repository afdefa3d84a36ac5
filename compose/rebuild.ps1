# Builds the images of this checkout anew and starts them: the twin of `rebuild`.
. (Join-Path $PSScriptRoot 'common.ps1')
$tag = Get-Setting 'KILN_TAG' '0.1.0'
$top = Split-Path $here
foreach ($target in 'kilnd', 'kiln-gateway') {
    & docker build -f (Join-Path $top 'images/Dockerfile') --target $target -t "kiln/${target}:$tag" --build-arg "KILN_VERSION=$tag" $top
    if ($LASTEXITCODE -ne 0) { throw "$target could not be built" }
}
& (Join-Path $here 'start.ps1')
