using ModelSdk.Manifest;

namespace ModelSdk.Runtime.Bundles;

/// <summary>What a generated client was compiled for: the names and types that its members stand for.</summary>
/// <param name="Name">The model's name.</param>
/// <param name="Adapters">Adapter names.</param>
/// <param name="DefaultMode">Mode used when the caller names none.</param>
/// <param name="Budgets">Budgets with their tokens and streams.</param>
/// <param name="Answer">Type of the answer.</param>
/// <param name="Switcher">Whether the client offers the mode "auto".</param>
/// <param name="Verifiers">Names of the adapters whose answers a verifier judges; null = none.</param>
public sealed record BundleContract(
    string Name,
    IReadOnlyList<string> Adapters,
    string DefaultMode,
    IReadOnlyList<BundleBudget> Budgets,
    BundleAnswer Answer,
    bool Switcher = false,
    IReadOnlyList<string>? Verifiers = null)
{
    /// <summary>Checks that a bundle keeps this contract.</summary>
    /// <param name="manifest">The bundle's manifest.</param>
    /// <param name="path">The bundle's folder; for messages.</param>
    /// <exception cref="BundleException">It does not: names what differs.</exception>
    public void Check(BundleManifest manifest, string path)
    {
        string? difference = Difference(manifest);
        if (difference is not null)
        {
            throw new BundleException(
                DiagnosticCodes.BundleContractMismatch,
                $"The bundle is not the one that the client {Name}Model was compiled for: {difference} Build the project again so that client and bundle come from one manifest.",
                path);
        }
    }

    private string? Difference(BundleManifest manifest)
    {
        if (manifest.Name != Name)
            return $"it is the model \"{manifest.Name}\", not \"{Name}\".";
        string[] bundled = [.. manifest.Adapters.Select(a => a.Name).Order(StringComparer.Ordinal)];
        string[] expected = [.. Adapters.Order(StringComparer.Ordinal)];
        if (!bundled.SequenceEqual(expected))
            return $"its adapters are [{string.Join(", ", bundled)}], the client's are [{string.Join(", ", expected)}].";
        if (manifest.Switcher is not null != Switcher)
            return Switcher ? "it has no switcher, and the client's mode \"auto\" needs one." : "it has a switcher, of which the client does not know.";
        string[] bundledVerifiers = [.. manifest.Adapters.Where(a => a.Verifier is not null).Select(a => a.Name).Order(StringComparer.Ordinal)];
        string[] expectedVerifiers = [.. (Verifiers ?? []).Order(StringComparer.Ordinal)];
        if (!bundledVerifiers.SequenceEqual(expectedVerifiers))
            return $"its verifiers are of [{string.Join(", ", bundledVerifiers)}], the client's of [{string.Join(", ", expectedVerifiers)}].";
        if (manifest.DefaultMode != DefaultMode)
            return $"its default mode is \"{manifest.DefaultMode}\", the client's is \"{DefaultMode}\".";
        string[] bundledBudgets = [.. manifest.Budgets.Select(Describe).Order(StringComparer.Ordinal)];
        string[] expectedBudgets = [.. Budgets.Select(Describe).Order(StringComparer.Ordinal)];
        if (!bundledBudgets.SequenceEqual(expectedBudgets))
            return $"its budgets are [{string.Join(", ", bundledBudgets)}], the client's are [{string.Join(", ", expectedBudgets)}].";
        if (manifest.Answer.Type != Answer.Type || !(manifest.Answer.Choices ?? []).SequenceEqual(Answer.Choices ?? []))
            return $"its answer is of type {Describe(manifest.Answer)}, the client's of type {Describe(Answer)}.";
        return null;
    }

    private static string Describe(BundleBudget budget) => string.Create(
        System.Globalization.CultureInfo.InvariantCulture,
        $"{budget.Name}={(budget.Streams == 1 ? "" : $"{budget.Streams}x")}{budget.Tokens}");

    private static string Describe(BundleAnswer answer) =>
        answer.Choices is { Count: > 0 } choices ? $"{answer.Type} ({string.Join(", ", choices)})" : answer.Type;
}
