using ModelSdk.Manifest;

namespace ModelSdk.Generators.Model;

/// <summary>Everything that one generated file is made of.</summary>
/// <param name="Client">The client.</param>
/// <param name="Namespace">The project's root namespace; empty for none.</param>
/// <param name="Measured">Results of the lock file; empty when there is none.</param>
internal sealed record ClientSource(ClientModel Client, string Namespace, EquatableArray<MeasuredMode> Measured);
