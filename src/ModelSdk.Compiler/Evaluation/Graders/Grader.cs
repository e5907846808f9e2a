using ModelSdk.Manifest;

namespace ModelSdk.Compiler.Evaluation.Graders;

/// <summary>The grader that a manifest asks for.</summary>
internal static class Grader
{
    /// <summary>The manifest's program, or the comparison by answer type.</summary>
    public static IGrader For(CompileInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        ModelManifest manifest = inputs.Manifest;
        return manifest.Grader is not GraderSettings program ? new TypeGrader(manifest.Answer) : new ProgramGrader(
            program,
            Path.GetDirectoryName(inputs.ManifestPath)!,
            (message, cause) =>
            {
                ManifestDiagnostic place = inputs.Source.At("grader/command", DiagnosticCodes.GraderFailed, ManifestSeverity.Error, message);
                return new CompilerException(place.Code, place.Message, place.Path, place.Line, place.Column, cause);
            });
    }
}
