namespace ModelSdk.Manifest;

/// <summary>The policy from which training may not move far (paper 4).</summary>
public enum KlReference
{
    /// <summary>A frozen copy of the adapter as supervised fine-tuning left it; <c>sft</c>.</summary>
    Sft,

    /// <summary>The base without an adapter; <c>base</c>.</summary>
    Base,
}
