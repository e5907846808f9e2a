using System.Text;
using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Compiler;

/// <summary>The lock file beside a manifest (<c>x.model.lock.json</c>): which inputs gave which bundle, and what was measured on it.</summary>
internal static class LockFile
{
    /// <summary>Writes the lock file; leaves it alone when it says the same already.</summary>
    public static void Write(CompileInputs inputs, CompilePlan plan, BundleManifest bundle)
    {
        ModelLock record = new()
        {
            Inputs = plan.InputsDigest,
            Bundle = bundle.Digest,
            Measured = new EquatableArray<MeasuredMode>(bundle.Measured
                .OrderBy(m => m.Key, StringComparer.Ordinal)
                .Select(m => new MeasuredMode { Mode = m.Key, Accuracy = m.Value.Accuracy, MeanTokens = m.Value.MeanTokens, Examples = m.Value.Examples })),
        };
        string path = ModelLock.PathFor(inputs.ManifestPath);
        string text = ModelLockWriter.Write(record);
        if (File.Exists(path) && File.ReadAllText(path) == text)
        {
            return;
        }

        string temporary = path + ".tmp";
        File.WriteAllText(temporary, text, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
        File.Move(temporary, path, overwrite: true);
    }

    /// <summary>Fails when the lock file is missing or was made from other inputs.</summary>
    /// <exception cref="CompilerException">MDL5006.</exception>
    public static void Check(CompileInputs inputs, CompilePlan plan)
    {
        string path = ModelLock.PathFor(inputs.ManifestPath);
        if (!File.Exists(path))
        {
            throw new CompilerException(DiagnosticCodes.LockMismatch, $"The compile is locked, but there is no {Path.GetFileName(path)} beside the manifest. Make it with: modelc compile {Path.GetFileName(inputs.ManifestPath)} --write-lock", inputs.ManifestPath);
        }

        ModelLock? record = ModelLockParser.Parse(File.ReadAllText(path), path).Lock;
        if (record?.Inputs != plan.InputsDigest)
        {
            throw new CompilerException(
                DiagnosticCodes.LockMismatch,
                $"The compile is locked to inputs {record?.Inputs ?? "(unreadable)"}, but the manifest and its files give {plan.InputsDigest}: the manifest, the base or the data was changed. Undo the change, or compile without --locked and with --write-lock to accept it.",
                path);
        }
    }
}
